"""The clients' connections of one process: how many there are, and which one makes room."""

from dataclasses import dataclass
from math import inf
from typing import Protocol


class Dawdler(Protocol):
    """What there is to know of a connection: when its client's time is up."""

    def get_deadline(self) -> float: ...

    def drop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for a client, which must not be what others wait for."""

    idle: float  # for a request to begin
    head: float
    body: float
    send: float  # for an answer to be taken


class Connections:
    """The connections of one process. The application's lifespan state has it, as `connections`."""

    def __init__(self, patience: Patience, most: int) -> None:
        self.patience = patience
        self._most = most
        self._open: set[Dawdler] = set()

    def add(self, connection: Dawdler) -> bool:
        """Take it in, instead of the one that may dawdle least if there are too many."""
        if len(self._open) >= self._most:
            first = min(self._open, key=lambda each: each.get_deadline())
            if first.get_deadline() == inf:  # all are being served
                return False
            first.drop()
        self._open.add(connection)
        return True

    def discard(self, connection: Dawdler) -> None:
        self._open.discard(connection)
