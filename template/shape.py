"""Makes the files of the template those of a project; nothing outside the folder is needed."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from template.cutting import take_out
from template.diagram import drop_tables
from template.errors import TemplateError
from template.evidence import tidy_evidence
from template.features import HERE, Feature, choose_features, read_template
from template.locks import drop_packages
from template.names import Names
from template.record import Record
from template.renaming import rename

_PROJECT = "user-service"
_FIXED = "F401,I001"  # imports that a cut has left, and their order


def shape(folder: Path, record: Record) -> None:
    """Take out what the record says, and put in its names."""
    names = Names(record.name, record.slug)
    template = fill_cuts(read_template(), names, record.year)
    features = [template, *choose_features(record.without)]
    for page in HERE.glob("new/*"):
        (folder / page.name).write_text(names.fill(page.read_text("utf-8")), "utf-8")
    take_out(folder, features)
    packages = [name for feature in features for name in feature.packages]
    drop_packages(folder, packages, _PROJECT)
    drop_tables(folder, [table for feature in features for table in feature.tables])
    tidy_evidence(folder)
    rename(folder, names, template.renames)
    record.write(folder)
    tidy_code(folder)


def fill_cuts(feature: Feature, names: Names, year: int) -> Feature:
    """Put the names and the year where a cut leaves a place for them."""
    puts = [names.fill(cut.put).replace("{year}", str(year)) for cut in feature.cuts]
    cuts = tuple(replace(cut, put=put) for cut, put in zip(feature.cuts, puts, strict=True))
    return replace(feature, cuts=cuts)


def tidy_code(folder: Path) -> None:
    for arguments in (("check", "--fix-only", f"--select={_FIXED}"), ("format",)):
        command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "--quiet", "."]
        done = subprocess.run(  # noqa: S603  # ruff, of this project
            command, cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise TemplateError(f"ruff failed: {done.stderr.strip() or done.stdout.strip()}")
