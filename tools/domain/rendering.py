"""Renders the files of a domain, as the formatter and the linter leave them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tools.domain.code import FILTERS
from tools.domain.description import describe
from tools.domain.fields import Definition
from tools.domain.sentences import write_comment, write_sentence
from tools.domain.words import UsageError

_RUFF = [sys.executable, "-m", "ruff"]
_FILES = {
    "app": ("models", "schemas", "service", "router"),
    "tests": ("factories", "test_router"),
}


def render(definition: Definition) -> Iterator[tuple[Path, str]]:
    """Yield each new file's path in the project, and its text."""
    environment = _make_environment(definition)
    for folder, names in _FILES.items():
        package = Path(folder) / definition.noun.many
        yield package / "__init__.py", ""
        for name in names:
            path = package / f"{name}.py"
            text = tidy(environment.get_template(f"{name}.py.j2").render(), path)
            _require_own_names(ast.parse(text), path)
            yield path, text


def _require_own_names(module: ast.Module, path: Path) -> None:
    """Refuse a class or function that is called like something that its module imports."""
    imports = [each for each in module.body if isinstance(each, ast.Import | ast.ImportFrom)]
    imported = {alias.asname or alias.name for each in imports for alias in each.names}
    for each in module.body:
        if isinstance(each, ast.ClassDef | ast.AsyncFunctionDef) and each.name in imported:
            raise UsageError(f"{path} would have {each.name} twice; choose another NAME")


def tidy(text: str, path: Path) -> str:
    """Drop the imports that nothing uses, sort and format the rest; refuse what ruff refuses."""
    # The file's folder is not there yet, so that ruff cannot know.
    known = ["--ignore=INP001", '--config=lint.isort.known-first-party=["app","tests"]']
    check = ["check", *known, "--output-format=concise", "--quiet"]
    text = _ruff(text, path, *check, "--fix", "--exit-zero")
    text = _ruff(text, path, "format")
    return _ruff(text, path, *check, "--fix")


def _ruff(text: str, path: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*_RUFF, *arguments, f"--stdin-filename={path}", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UsageError(f"the code would not pass ruff: {said[0] if said else path}")
    return done.stdout


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
