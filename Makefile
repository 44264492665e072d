# Every command of the project; `make` alone lists them.
# The machine brings make, git and Python 3.11 or newer with venv and pip; the rest goes into .venv.

HOST ?= 127.0.0.1
PORT ?= 8000
FROM ?= template/main
# The first Python that is new enough, not as a virtual environment on the path has it, which would
# be removed under its feet. `make setup PYTHON=python3.13` chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; print(sys._base_executable); sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && break; done | tail -n 1)
PIP = .venv/bin/python -m pip install --disable-pip-version-check
# Of what pip says, the number of packages it has come to: on one line, which a terminal overwrites.
# The status is pip's own, as the pipe has none of it. Errors and warnings pass by on standard error.
COUNT = while read -r word rest; do case "$$word" in \
	Collecting|Processing) n=$$((n + 1)); test -t 1 && printf '\r%d of %d packages' $$n $$all ;; \
	Installing) test -t 1 && echo; echo "Unpacking $$n packages" ;; \
	status) test "$$rest" = 0 || exit "$$rest" ;; esac; done
# An environment of the same Python is kept, and pip installs the difference: something may run in it.
VERSION = -c 'import sys; print(sys.version)'
SAME = test "$$(.venv/bin/python $(VERSION) 2>/dev/null)" = "$$("$(PYTHON)" $(VERSION))"
# The package of this repository has no hash: it is installed apart, from its folder.
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-package alembic-online $(UPGRADE)

BABEL = .venv/bin/pybabel --quiet

# What another virtual environment of the shell says must not reach this one.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME
export UV_CUSTOM_COMPILE_COMMAND = make lock

.PHONY: help setup run demo test test-long check format translations domain revision
.PHONY: rebase-revision migrate
.PHONY: rehearse reset lock audit mine update client client-check
.PHONY: bench bench-compare bench-migrations compose-check cluster-check fault-check mine-check

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' Makefile

setup: .venv/ready ## Create .venv with the locked packages

# With pip alone, so that whatever index pip is set to use serves. The file names every package, and
# pip is not to look for others: it would find the newer release of one, which has no hash there.
.venv/ready: requirements-dev.txt packages/alembic-online/pyproject.toml
	$(if $(PYTHON),,$(error Python 3.11 or newer is needed, as python3 or with PYTHON=/path/to/python))
	@echo "Installing the locked packages into .venv; the first time takes a minute or two"
	@$(SAME) || "$(PYTHON)" -m venv --clear .venv
	@{ PYTHONUNBUFFERED=1 $(PIP) --progress-bar off --no-compile --no-deps --require-hashes \
		-r requirements-dev.txt; echo "status $$?"; } \
	| { n=0 all=$$(grep -c '^[a-zA-Z0-9].*==' requirements-dev.txt); $(COUNT); }
	@$(PIP) --quiet --no-deps --no-build-isolation --editable packages/alembic-online --editable .
	@touch $@

run: setup ## Migrate the database and serve it on http://HOST:PORT, with reload
	@echo "Starting PostgreSQL unless DATABASE_URL names one, and migrating"
	@.venv/bin/app run --reload --host "$(HOST)" --port "$(PORT)"

demo: setup ## Fill the development database with people, events and mail, and open it in a browser
	@.venv/bin/python -m tools.demo "$(HOST)" "$(PORT)"

test: setup ## Run the tests on a throw-away database; ARGS=--fixtures lists what they are given
	@.venv/bin/pytest --numprocesses auto --maxprocesses 8 $(ARGS)

test-long: setup ## Run the tests that `make test` leaves out, since each takes many seconds
	@.venv/bin/pytest --numprocesses auto --maxprocesses 8 -m long $(ARGS)

check: setup ## All that CI runs: format, lint, types, new revisions, and the tests with coverage
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/python -m alembic_online.lint
	.venv/bin/python -m pip check
	.venv/bin/pytest --numprocesses auto --maxprocesses 8 --cov --cov-report=term

format: setup ## Format the code and mend what ruff can mend
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

translations: setup ## Bring the catalogs of texts up to date with the code; ADD=fr adds a language
	@mkdir -p build
	@$(BABEL) extract --mapping pyproject.toml --no-location --sort-output -o build/messages.pot app
	@$(BABEL) update --ignore-obsolete -N --ignore-pot-creation-date \
		-i build/messages.pot -d app/locale $(if $(ADD),--init-missing --locale "$(ADD)")
	@$(BABEL) compile -d app/locale

# The recipe takes what was given from the environment, where no quote in it means anything.
domain: setup ## Write a domain: make domain NAME=project FIELDS="title:str(255) due:date? owner:user"
	@.venv/bin/python -m tools.domain "$$NAME" "$$FIELDS" "$$PLURAL"

revision: setup ## Write the revision of a model change: make revision m="Add is_active to User"
	@.venv/bin/alembic revision --autogenerate $(if $(m),-m "$(m)")

rebase-revision: setup ## Put the newer of two branches of revisions on top of the other
	@.venv/bin/python -m alembic_online.rebase

migrate: setup ## Upgrade the database to the newest revision
	@.venv/bin/alembic upgrade head
	@.venv/bin/python -m app.database.drift

reset: setup ## Delete the development database with all its rows, and make it anew; asks first
	@.venv/bin/python migration/reset.py

rehearse: setup ## Try pending revisions on a copy: make rehearse URL=postgresql://... SERVER=...
	@.venv/bin/python migration/rehearse.py "$(URL)" "$(SERVER)"

bench: setup ## Compare what a request costs with a bare FastAPI application: make bench ARGS="--help"
	@.venv/bin/python -m benchmarks.service $(ARGS)

bench-compare: setup ## Show two results of `make bench`: make bench-compare A=one.json B=other.json
	@.venv/bin/python -m benchmarks.service --compare "$(A)" "$(B)"

bench-migrations: setup ## Compare upgrades under load with stock Alembic's
	@.venv/bin/python -m benchmarks.migrations
	@.venv/bin/python -m benchmarks.backfills

lock: setup ## Write the lock files from pyproject.toml: make lock UPGRADE=--upgrade takes the newest
	$(COMPILE) pyproject.toml -o requirements.txt
	$(COMPILE) pyproject.toml --group dev --constraints requirements.txt -o requirements-dev.txt

audit: setup ## Compare the locked packages with the known vulnerabilities
	.venv/bin/pip-audit --require-hashes --disable-pip -r requirements.txt

compose-check: ## Try both Compose stacks as their users do; skips where no Docker engine answers
	@"$(PYTHON)" -m tests.compose $(ARGUMENTS)

cluster-check: setup ## Try the service on a cluster that fails over; skips where a program is missing
	@.venv/bin/python -m tests.cluster $(ARGUMENTS)

fault-check: setup ## Inflict faults on the service under load; as root in namespaces of its own
	@.venv/bin/python -m tests.faults $(ARGUMENTS)

client: setup ## Write a TypeScript client of the API into client/build; needs Node.js
	@command -v npm >/dev/null || { echo "make client: there is no npm here; install Node.js"; exit 1; }
	@mkdir -p client/build && .venv/bin/app openapi > client/build/openapi.json
	@cd client && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm run --silent build

client-check: setup ## Try that client in Node and in a browser; skips where there is no npm
	@.venv/bin/python -m tests.client

mine: setup ## Make this clone your own project: make mine NAME="Acme Notes" WITHOUT="items pages"
	@.venv/bin/python -m template mine --name "$(if $(findstring command,$(origin NAME)),$$NAME)" \
		--slug "$$SLUG" --without "$$WITHOUT" $(if $(YES),--yes)
	@.venv/bin/python -m pip uninstall --quiet --yes user-service
	@$(PIP) --quiet --no-deps --no-build-isolation --editable . && touch .venv/ready

mine-check: setup ## Try that in many ways, in hours; ARGUMENTS=items one, ARGUMENTS=--quick in minutes
	@.venv/bin/python -m tests.template $(ARGUMENTS)

update: setup ## Take what is new in the template, on a branch: make update FROM=template/main
	@test -f .template.toml || { echo "make update: this is the template itself: git pull"; exit 1; }
	@git remote get-url template >/dev/null 2>&1 \
		|| { echo "make update: say where it is: git remote add template URL"; exit 1; }
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && git fetch --quiet template \
		&& git archive "$(FROM)" template | tar -x -C "$$folder" \
		&& PYTHONPATH="$$folder" .venv/bin/python -m template update "$(FROM)"
