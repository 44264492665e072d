"""The tables that a result is shown as."""

import statistics
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.workloads import WORKLOADS

Rounds = dict[str, list[dict[str, float]]]

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_MARKER = "<!-- `--write-docs` replaces what follows. -->"
MEMORY = 130 * 1024 * 1024
LEAST_SHARE = 1 / 3  # of a round's work, for each of two workers
SHARED = 8  # clients; of fewer, one worker may well have all the work
GROWTH = {"items": 1.2, "admin's users": 1.2, "search users": 3}
HEAD = (
    "| workload | requests/s | p99 ms | app us | PostgreSQL us"
    " | bare: app us | PostgreSQL us | floor: app us | app / bare | budget | app / floor |\n"
    f"|---|{'--:|' * 10}"
)


def write(result: dict[str, Any]) -> None:
    """Print all of a result: the tables of its data sets, the growth, memory and start."""
    sys.stdout.write("\n".join(lines(result)) + "\n")


def write_docs(result: dict[str, Any]) -> None:
    """Put the tables of a result where docs/benchmarks.md has those of another."""
    text = DOCS.read_text("utf-8")
    head, marker, _ = text.partition(_MARKER)
    DOCS.write_text(f"{head}{marker}\n\n## Figures\n\n" + "\n".join(lines(result)) + "\n", "utf-8")


def lines(result: dict[str, Any]) -> Iterator[str]:
    about = result["about"]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    packages = textwrap.fill(packages, 98)
    yield f"{about['at']}, commit {about['commit']}{' and changes' * about['changed']}:"
    yield f"{about['machine']}, Python {about['python']},\n{packages}.\n"
    yield (
        f"{about['workers']} workers each, driven by {about['generator']}, median of "
        f"{about['rounds']} rounds of {about['seconds']} s;\n± is half of the range."
    )
    for items, data_set in result["data_sets"].items():
        users = f" of {data_set['users']:,} users" if "users" in data_set else ""
        yield f"\n### {int(items):,} items{users}\n"
        yield HEAD
        yield from (row(name, rounds) for name, rounds in data_set["workloads"].items())
    if len(result["data_sets"]) > 1:
        yield "\n### Growth with the data\n"
        yield from growth(result["data_sets"])
    yield "\n### Memory and start\n"
    yield from memory_and_start(result)


def row(name: str, rounds: Rounds) -> str:
    ours, bare, floor = rounds["service"], rounds["bare"], rounds["floor"]
    budget = WORKLOADS[name].budget
    missed = " **missed**" * (statistics.median(ratios(ours, bare)) > budget)
    everything = [each for of_one in rounds.values() for each in of_one]
    failed = sum(each["failed"] for each in everything)
    uneven = sum(each.get("share", 0.5) < LEAST_SHARE for each in everything)
    uneven *= WORKLOADS[name].clients >= SHARED
    cells = [
        _spread([each["requests"] / each["seconds"] for each in ours]),
        f"{_median(ours, 'p99'):.1f}",
        *(_spread([each[kind] for each in ours]) for kind in ("app", "postgres")),
        *(_spread([each[kind] for each in bare]) for kind in ("app", "postgres")),
        _spread([each["app"] for each in floor]),
        _spread(ratios(ours, bare), 2),
        f"{budget}{missed}",
        _spread(ratios(ours, floor), 2),
    ]
    marks = f"{f' {failed:.0f} FAILED' * bool(failed)}{f' {uneven} UNEVEN' * bool(uneven)}"
    return f"| {name} | {' | '.join(cells)} |{marks}"


def ratios(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> list[float]:
    return [a["app"] / b["app"] for a, b in zip(ours, theirs, strict=True)]


def _median(rounds: list[dict[str, float]], name: str) -> float:
    return statistics.median(each[name] for each in rounds)


def _spread(values: list[float], digits: int = 0) -> str:
    half = (max(values) - min(values)) / 2
    return f"{statistics.median(values):,.{digits}f} ±{half:,.{digits}f}"


def growth(data_sets: dict[str, Any]) -> Iterator[str]:
    """Show the CPU of application and PostgreSQL together, by the number of items."""
    sizes = list(data_sets)
    numbers = " | ".join(f"{int(size):,}" for size in sizes)
    yield f"| us per request | {numbers} | growth | bare's growth | budget |"
    yield f"|---|{'--:|' * (len(sizes) + 3)}"
    for name in data_sets[sizes[0]]["workloads"]:
        ours, bare = (
            [_cost(data_sets[size]["workloads"][name][kind]) for size in sizes]
            for kind in ("service", "bare")
        )
        ratio, allowed = ours[-1] / ours[0], GROWTH.get(name)
        budget = f"{allowed}{' **missed**' * (ratio > allowed)}" if allowed else ""
        figures = " | ".join(f"{cost:,.0f}" for cost in ours)
        yield f"| {name} | {figures} | {ratio:.2f} | {bare[-1] / bare[0]:.2f} | {budget} |"


def _cost(rounds: list[dict[str, float]]) -> float:
    return _median(rounds, "app") + _median(rounds, "postgres")


def memory_and_start(result: dict[str, Any]) -> Iterator[str]:
    yield "| | service | bare | budget |\n|---|--:|--:|--:|"
    for key, title in (
        ("memory", "before logins"),
        ("peak_memory", "peak while hashing passwords"),
    ):
        peaks = [each[key] for each in result["data_sets"].values()]
        ours, bare = (max(each[kind] for each in peaks) for kind in ("service", "bare"))
        budget = f"130 MiB{' **missed**' * (ours > MEMORY)}" if key == "memory" else ""
        yield f"| largest worker, {title} | {_mib(ours)} | {_mib(bare)} | {budget} |"
    for title, (seconds, budget) in result["startup"].items():
        missed = " **missed**" * (seconds > budget)
        yield f"| {title} | {seconds:.2f} s | | {budget} s{missed} |"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


def compare(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Print two results side by side: CPU per request of the application, and its ratio."""
    for items in sorted(before["data_sets"].keys() & after["data_sets"].keys(), key=int):
        sys.stdout.write(f"\n{int(items):,} items\n")
        pair = [each["data_sets"][items]["workloads"] for each in (before, after)]
        sys.stdout.write(
            "| workload | app us | then | app / floor | then | PostgreSQL us | then |\n"
        )
        sys.stdout.write(f"|---|{'--:|' * 6}\n")
        for name in (name for name in pair[0] if name in pair[1]):
            cells = zip(*(_figures(each[name]) for each in pair), strict=True)
            text = " | ".join(figure for both in cells for figure in both)
            sys.stdout.write(f"| {name} | {text} |\n")


def _figures(rounds: Rounds) -> tuple[str, str, str]:
    ours, floor = rounds["service"], rounds["floor"]
    ratio = statistics.median(ratios(ours, floor))
    return f"{_median(ours, 'app'):,.0f}", f"{ratio:.2f}", f"{_median(ours, 'postgres'):,.0f}"
