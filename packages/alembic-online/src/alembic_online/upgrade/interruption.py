"""What is known of a revision that was interrupted, and how it is written down."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from alembic.runtime.migration import RevisionStep

COMMENT_START = '{"direction": '


@dataclass(frozen=True)
class Progress:
    """How far a step has come that commits as it goes."""

    step: str
    after: tuple[str, ...] = ()  # the key of the last row that it has looked at
    seen: int = 0
    changed: int = 0

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> Self:
        return cls(**entry | {"after": tuple(entry["after"])})


@dataclass(frozen=True)
class Interrupted:
    direction: str
    revision: str
    done: tuple[str, ...] = ()
    progress: Progress | None = None  # of the step after those

    def __str__(self) -> str:
        return f"{self.direction} of revision {self.revision}"

    @classmethod
    def of(cls, step: RevisionStep) -> Self:
        return cls("upgrade" if step.is_upgrade else "downgrade", step.revision.revision)

    @classmethod
    def parse(cls, comment: str) -> Self:
        entry = json.loads(comment)
        progress = entry.get("progress")
        return cls(
            entry["direction"],
            entry["revision"],
            tuple(entry["done"]),
            Progress.parse(progress) if progress else None,
        )

    def comment(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)
