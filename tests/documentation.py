"""Reads the fenced blocks of a Markdown page, for tests that do what the page says.

```python app/notes/models.py     a file to create
```diff app/main.py               lines to add, `+`, and take out, `-`, beside lines that are there
```console                        commands, `$`, with what they print
"""

import difflib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

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
    """Return the fenced blocks below a heading, up to the next heading; none without it."""
    if f"# {section}\n" not in page:
        return []
    start = page.index(f"# {section}\n") + len(section)
    end = re.search(r"^#{1,3} ", page[start:], re.MULTILINE)
    text = page[start : start + end.start()] if end else page[start:]
    return read_every_block(text)


def read_every_block(page: str) -> list[Block]:
    return [Block(*(part or "" for part in match.groups())) for match in _BLOCK.finditer(page)]


def read_headings(page: str, section: str) -> list[str]:
    """Return the headings of the third level below one of the second."""
    _, _, rest = page.partition(f"\n## {section}\n")
    return re.findall(r"^### (.+)$", re.split(r"^## ", rest, flags=re.MULTILINE)[0], re.MULTILINE)


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
        timeout=300,
        check=False,
    )
    answers = done.stdout.split(f"{end}\n")[:-1]
    for command, wanted, printed in zip(commands, expected, answers, strict=True):
        _compare(command, _normalized(wanted), _normalized(_without_new_fields(printed, wanted)))


def _compare(command: str, wanted: str, printed: str) -> None:
    lines = difflib.unified_diff(
        wanted.splitlines(), printed.splitlines(), "the page", "what is printed", lineterm=""
    )
    assert wanted == printed, "\n".join([f"$ {command}", *lines])


def _without_new_fields(printed: str, wanted: str) -> str:
    """Take fields out of JSON that the page does not show, such as a project adds."""
    try:
        shown, answered = json.loads(wanted), json.loads(printed)
    except ValueError:
        return printed
    return json.dumps(_restrict(answered, shown), separators=(",", ":"), ensure_ascii=False)


def _restrict(part: Any, shown: Any) -> Any:
    if isinstance(part, dict) and isinstance(shown, dict):
        return {name: _restrict(part[name], each) for name, each in shown.items() if name in part}
    if isinstance(part, list) and isinstance(shown, list):
        return [_restrict(each, shown[0] if shown else each) for each in part]
    return part


def is_carried_out(blocks: list[Block], folder: Path) -> bool:
    """Tell whether the project has what a recipe adds, and a file that it would create."""
    return any(_is_there(block, folder / block.path) for block in blocks if block.path)


def _is_there(block: Block, path: Path) -> bool:
    if block.kind != "diff":
        return path.exists()
    added = {line[1:] for line in block.text.splitlines() if line.startswith("+")} - {""}
    return path.exists() and added <= {*path.read_text().splitlines()}


def _exchanges(text: str) -> Iterator[tuple[str, str]]:
    for exchange in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, printed = exchange.partition("\n")
        yield command, printed


def _normalized(text: str) -> str:
    return _VARYING.sub("...", text).strip()


def _patched(text: str, diff: str) -> str:
    """Add lines behind a line that is there; those that come first, in front of it."""
    changes, lines, position = diff.splitlines(), text.split("\n"), 0
    first = [change[1:] for change in takewhile(lambda each: each.startswith("+"), changes)]
    for change in changes[len(first) :]:
        if change.startswith("+"):
            lines.insert(position, change[1:])
            position += 1
            continue
        assert change[1:] in lines[position:], f"beside this line, which is not there:\n{diff}"
        position = lines.index(change[1:], position)
        kept = [] if change.startswith("-") else [change[1:]]
        lines[position : position + 1] = [*first, *kept]
        position += len(first) + len(kept)
        first = []
    return "\n".join(lines)
