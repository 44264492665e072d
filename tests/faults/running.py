"""How a check runs: in namespaces of its own, where it may, and not for ever."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from tests.faults.network import INSIDE, find_wrapper
from tests.faults.scene import temporary_folder


def run_check(module: str, run: Callable[[Path], int], limit: int) -> int:
    """Run it in a new folder, for so many seconds at most; return its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, to clean up
    if INSIDE in os.environ:
        return _run(run, Path(os.environ[INSIDE]), limit)
    wrapper = find_wrapper()
    with temporary_folder() as folder:
        if not wrapper:
            return _run(run, folder, limit)
        return _run_inside([*wrapper, sys.executable, "-m", module, *sys.argv[1:]], folder, limit)


def _run_inside(command: list[str], folder: Path, limit: int) -> int:
    """Run in namespaces of its own, all of which end when their first process is killed."""
    with subprocess.Popen(command, env=os.environ | {INSIDE: str(folder)}) as process:
        try:
            return process.wait(timeout=limit + 60)
        finally:
            process.kill()


def _run(run: Callable[[Path], int], folder: Path, limit: int) -> int:
    def give_up(_: int, __: FrameType | None) -> None:
        raise AssertionError(f"this may take {limit} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(limit)
    return run(folder)
