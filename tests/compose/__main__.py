"""Run both Compose stacks as their users do, bad input included: `make compose-check`."""

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.compose.development import check_development
from tests.compose.production import check_production
from tests.compose.stack import CheckError, find_missing
from tests.servers import copy_repository

_QUICK = ["tests/web/test_health.py", "tests/users"]
_SOMEBODY = 12345  # owns the copy when root runs the check: files must become theirs, not root's


def main() -> None:
    if missing := find_missing():
        print(f"skipped: {missing}")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, to clean up
    start = time.monotonic()
    parts = {*sys.argv[1:]} - {"--all-tests"} or {"development", "production"}
    folder = Path(tempfile.mkdtemp(prefix="compose-check-"))
    try:
        if "development" in parts:
            tests = [] if "--all-tests" in sys.argv else _QUICK
            check_development(_copy(folder / "development"), f"check-{os.getpid()}-dev", tests)
        if "production" in parts:
            check_production(_copy(folder / "production"), f"check-{os.getpid()}")
    except (AssertionError, CheckError) as error:
        sys.exit(f"FAILED: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{time.monotonic() - start:7.1f} s  in all")


def _copy(folder: Path) -> Path:
    copy_repository(folder)
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, _SOMEBODY, _SOMEBODY)
    return folder


main()
