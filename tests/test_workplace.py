"""What editors and assistants are told: commands and files that exist."""

import json
import re
from pathlib import Path

import pytest

from tests.servers import ROOT

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
AGENTS = (ROOT / "AGENTS.md").read_text()
EDITORS = sorted([*(ROOT / ".vscode").glob("*.json"), *(ROOT / ".devcontainer").glob("*.json")])


@pytest.mark.parametrize(
    "path", ["AGENTS.md", ".vscode/tasks.json", ".github/pull_request_template.md"]
)
def test_commands_exist(path: str) -> None:
    named = set(re.findall(r"[`\"]make ([a-z-]+)", (ROOT / path).read_text()))
    assert named
    assert named <= TARGETS


def test_agents_page_is_short_and_names_what_exists() -> None:
    assert len(AGENTS.splitlines()) <= 40
    for name in re.findall(r"`((?:app|docs|tests|client|migration)/[\w/.-]*)`", AGENTS):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", EDITORS, ids=lambda path: path.name)
def test_settings_of_editors_are_json(path: Path) -> None:
    assert json.loads(path.read_text())
