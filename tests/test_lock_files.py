"""The lock files: every package by its hash, from whatever index pip is set to use."""

import json
import re

import pytest

from tests.servers import ROOT


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_asvs_15_1_1_packages_are_locked_by_hash_and_without_an_index(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    requirements = " ".join(line for line in lines if not line.lstrip().startswith("#"))
    assert "://" not in requirements
    packages = re.split(r"\s(?=[A-Za-z0-9._-]+(?:\[[^]]*\])?==)", requirements.strip())
    assert len(packages) > 30
    for package in packages:
        assert re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", package), package


def test_asvs_15_1_1_packages_of_the_client_are_locked_by_hash_and_without_an_index() -> None:
    lock = json.loads((ROOT / "client/package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert len(packages) > 20
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


def test_tools_of_the_client_are_pinned() -> None:
    manifest = json.loads((ROOT / "client/package.json").read_text())
    for version in (manifest["dependencies"] | manifest["devDependencies"]).values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
