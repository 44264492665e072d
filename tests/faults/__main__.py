"""Inflict faults on the service under load, and print what became of them: `make fault-check`.

Names of faults, or parts of them, choose those that are tried.
"""

import sys
from pathlib import Path

from tests.faults.database import DATABASE_FAULTS
from tests.faults.fault import Result, show
from tests.faults.pgbouncer import POOLER_FAULTS
from tests.faults.processes import PROCESS_FAULTS
from tests.faults.running import run_check
from tests.faults.scene import running_scene
from tests.faults.table import print_table

_FAULTS = (*DATABASE_FAULTS, *PROCESS_FAULTS, *POOLER_FAULTS)
_COLUMNS = ("Fault", "Answers", "Longest", "Acknowledged", "Lost", "Well again after")
_LIMIT = 600  # seconds, for all


def _run(folder: Path) -> int:
    return print_table(_COLUMNS, _FAULTS, running_scene(folder), _make_cells)


def _make_cells(result: Result) -> list[str]:
    figures = (result.acknowledged, result.lost)
    answers = map(show, result.answers)
    return [result.name, *answers, f"{result.longest:.1f} s", *map(str, figures), result.well]


sys.exit(run_check("tests.faults", _run, _LIMIT))
