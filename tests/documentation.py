"""Reads the fenced blocks of a Markdown page, for tests that do what the page says.

```python app/notes/models.py     a file to create
```diff app/main.py               lines to add, `+`, each run of them behind a line that is there
```console                        commands, `$`, with what they print
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What differs from run to run: revision ids as well as UUIDs, instants, tokens.
_VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{32}\b|\b[0-9a-f]{12}\b"
    r"|\d{4}-\d\d-\d\dT[0-9:.]+Z|ust_[\w-]{43}"
)


@dataclass(frozen=True)
class Block:
    kind: str
    path: str
    text: str


def read_blocks(page: str, section: str) -> list[Block]:
    """Return the fenced blocks below a heading, up to the next heading."""
    start = page.index(f"# {section}\n") + len(section)
    end = re.search(r"^#{1,3} ", page[start:], re.MULTILINE)
    text = page[start : start + end.start()] if end else page[start:]
    return [Block(*(part or "" for part in match.groups())) for match in _BLOCK.finditer(text)]


def follow(blocks: list[Block], folder: Path, environment: dict[str, str]) -> None:
    """Do what the blocks say in `folder`, and compare what the commands print."""
    for block in blocks:
        path = folder / block.path
        if block.kind == "console":
            _converse(block.text, folder, environment)
        elif block.kind == "diff":
            path.write_text(_patched(path.read_text(), block.text))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)


def _converse(text: str, folder: Path, environment: dict[str, str]) -> None:
    """Run all the commands in one shell, since a later one may use a variable of an earlier."""
    commands, expected = zip(*_exchanges(text), strict=True)
    end = "--- the next command ---"
    script = "\n".join(f"{command}\necho '{end}'" for command in commands)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    answers = done.stdout.split(f"{end}\n")[:-1]
    for command, wanted, printed in zip(commands, expected, answers, strict=True):
        assert _normalized(printed) == _normalized(wanted), command


def _exchanges(text: str) -> Iterator[tuple[str, str]]:
    for exchange in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, printed = exchange.partition("\n")
        yield command, printed


def _normalized(text: str) -> str:
    return _VARYING.sub("...", text).strip()


def _patched(text: str, diff: str) -> str:
    lines, position = text.split("\n"), 0
    for change in diff.splitlines():
        if change.startswith("+"):
            lines.insert(position, change[1:])
            position += 1
        else:
            position = lines.index(change[1:], position) + 1
    return "\n".join(lines)
