"""Writes all files or none."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType


def write_all(root: Path, files: Iterable[tuple[Path, str]]) -> None:
    """Write the files; whatever ends this half-way, each is then as it was."""
    with ExitStack() as undo, _told_to_stop():
        for path, text in files:
            _write(undo, root / path, text)
        undo.pop_all()


def _write(undo: ExitStack, path: Path, text: str) -> None:
    for folder in reversed([each for each in path.parents if not each.exists()]):
        undo.callback(folder.rmdir)
        folder.mkdir()
    before = path.read_bytes() if path.exists() else None
    undo.callback(path.unlink, missing_ok=True) if before is None else undo.callback(
        path.write_bytes, before
    )
    path.write_text(text, "utf-8")


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Let the signals that end a process be exceptions, so that what was done is undone."""

    def stop(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
