"""Renders the files of a domain, as the formatter and the linter leave them."""

import ast
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tools.domain.code import FILTERS
from tools.domain.description import describe
from tools.domain.fields import Definition
from tools.domain.sentences import write_comment, write_sentence
from tools.domain.words import UsageError

_RULES = Path(__file__).parents[2] / "pyproject.toml"
# What ruff cannot see where the files are made.
_KNOWN = ("--ignore=INP001", '--config=lint.isort.known-first-party=["app","tests","tools"]')
_FILES = {
    "app": ("models", "schemas", "service", "router"),
    "tests": ("factories", "test_router"),
}


def render(definition: Definition) -> dict[Path, str]:
    """Return the new files: their paths in the project, and their texts."""
    environment = _make_environment(definition)
    files = {}
    for folder, names in _FILES.items():
        package = Path(folder) / definition.noun.many
        files[package / "__init__.py"] = ""
        for name in names:
            files[package / f"{name}.py"] = environment.get_template(f"{name}.py.j2").render()
    files = tidy(files)
    for path, text in files.items():
        _require_own_names(ast.parse(text), path)
    return files


def _require_own_names(module: ast.Module, path: Path) -> None:
    """Refuse a class or function that is called like something that its module imports."""
    imports = [each for each in module.body if isinstance(each, ast.Import | ast.ImportFrom)]
    imported = {alias.asname or alias.name for each in imports for alias in each.names}
    for each in module.body:
        if isinstance(each, ast.ClassDef | ast.AsyncFunctionDef) and each.name in imported:
            raise UsageError(f"{path} would have {each.name} twice; choose another NAME")


def tidy(files: dict[Path, str]) -> dict[Path, str]:
    """Drop imports that nothing uses, sort and format the rest; refuse what ruff refuses."""
    with TemporaryDirectory() as folder:
        for path, text in files.items():
            Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, path).write_text(text, "utf-8")
        check = ["check", f"--config={_RULES}", *_KNOWN, "--output-format=concise", "--quiet"]
        _ruff(folder, *check, "--fix", "--exit-zero")
        _ruff(folder, "format", f"--config={_RULES}", "--quiet")
        _ruff(folder, *check, "--fix")
        return {path: Path(folder, path).read_text("utf-8") for path in files}


def _ruff(folder: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "ruff", *arguments, "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UsageError(f"the code would not pass ruff: {said[0] if said else folder}")


def _make_environment(definition: Definition) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # this is Python, not HTML
    )
    environment.globals |= describe(definition)
    environment.globals |= {"sentence": write_sentence, "comment": write_comment}
    environment.filters |= FILTERS
    return environment
