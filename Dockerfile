# One image for the service, its migrations and its worker. `--target development` adds the tools.

FROM python:3.13-slim AS build
ENV PATH=/opt/venv/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app:/app/packages/alembic-online/src \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY requirements.txt ./
# Wheels only: nothing is compiled, so no stage needs a compiler. No others than the file's: pip
# would look for newer ones, which have no hash there.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv install --quiet --no-deps --require-hashes \
        --only-binary :all: -r requirements.txt
COPY --chmod=755 <<END /opt/venv/bin/app
#!/opt/venv/bin/python
from app.cli.main import main

if __name__ == "__main__":
    main()
END

# What docker-compose.yml runs, with the work tree mounted over /app.
FROM build AS development
# For the tests: curl, and what Playwright's driver needs, which skips without a browser.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends curl libatomic1 \
    && rm -rf /var/lib/apt/lists/*
COPY requirements-dev.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/venv install --quiet --no-deps --require-hashes -r requirements-dev.txt
COPY --chmod=755 containers/become-owner /usr/local/bin/
ENTRYPOINT ["become-owner"]
CMD ["app", "run", "--reload", "--no-migrate", "--host", "0.0.0.0"]

# Without pip in the environment, without the tools; root's files, run by a user who owns none.
FROM python:3.13-slim
# glibc keeps the 46 MiB of Argon2id for the next password, instead of asking for new pages each time:
# a login takes a quarter less CPU.
ENV MALLOC_MMAP_THRESHOLD_=67108864 \
    MALLOC_TRIM_THRESHOLD_=134217728
ENV ENVIRONMENT=production \
    PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app:/app/packages/alembic-online/src \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY . ./
RUN python -m compileall -q app migration packages
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --retries=2 --start-period=60s --start-interval=1s \
    CMD ["python", "containers/healthcheck.py"]
CMD ["app", "run", "--no-migrate", "--host", "0.0.0.0"]
