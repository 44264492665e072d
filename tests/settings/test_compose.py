"""Which settings reach the service in Compose; in development it reads the work tree's own .env."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCTION = (ROOT / "docker-compose.production.yml").read_text("utf-8")


def test_production_passes_every_setting_of_the_example_on() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    settings = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) - {
        "ENVIRONMENT"
    }  # the image's
    shared = PRODUCTION.partition("x-environment:")[2].partition("services:")[0]
    own = PRODUCTION.partition("\n  app:")[2].partition("secrets:")[0]
    given = re.findall(r"^ +([A-Z_]+?)(?:_FILE)?: *(\S+)", shared + own, re.MULTILINE)
    lines = [f"{name}: ${{{name}:-}}" for name in sorted(settings - {name for name, _ in given})]
    assert lines == [], "add to services.app.environment of docker-compose.production.yml"
    for name, value in given:
        if "$" in value and name != "TRUSTED_PROXIES":
            assert value.startswith((f"${{{name}:-", f"${{{name}:?")), name
