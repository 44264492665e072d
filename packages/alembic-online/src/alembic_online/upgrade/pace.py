"""How many rows a batch takes: as many as are locked for an instant, whatever the machine."""

from dataclasses import dataclass, field

LOCKED_SECONDS = 0.02  # how long those may wait who want a row of a batch
FIRST_ROWS = 500


@dataclass
class Pace:
    most: int
    size: int = field(init=False)
    searching: bool = False  # for a row that cannot be filled: never faster again

    def __post_init__(self) -> None:
        self.size = min(self.most, FIRST_ROWS)

    def adapt(self, seconds: float) -> None:
        """Take more or fewer rows, after a batch that held its locks for so long."""
        if not self.searching:
            fitting = int(self.size * LOCKED_SECONDS / max(seconds, 0.001))
            self.size = max(1, min(fitting, 2 * self.size, self.most))

    def halve(self) -> None:
        self.size = max(1, self.size // 2)
