"""Who may import whom, and who may commit."""

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from app.main import create_app
from app.settings import Settings
from app.web.router import ServiceRoute
from app.web.session import get_session

APP = Path(__file__).parent.parent / "app"
SHARED = {"cli", "database", "observability", "settings", "web"}  # all domains stand on these


def find_domains() -> set[str]:
    """Name the folders that have tables or routes of their own."""
    parts = [*APP.glob("*/models.py"), *APP.glob("*/router.py")]
    return {path.parent.name for path in parts} - SHARED


SITE = "site"  # pages about all domains; each of its modules is as high as a router
DOMAINS = sorted(find_domains() | {SITE})
# Each may import what stands below it, in its own domain and in those that its domain knows.
KNOWN = {
    "auth": {"mail", "users"},
    "mail": {"users"},
    "users": set(),
    "second_factors": {"auth", "mail", "users"},
    "audit": {"auth", "users"},
    "roles": {"auth", "users"},
    "passkeys": {"auth", "mail", "second_factors", "users"},
}  # any other: `users`
LAYERS = ("router", "dependencies", "service", "schemas", "models")
WIRING = {"main", "parts", "cli/main", "cli/commands", "cli/opening"}
ROUTERS = ("router", "pages", "authorization")
WEB_FRAMEWORKS = {"fastapi", "starlette", "uvicorn"}
FREE_OF_THE_WEB = (
    *("service", "sessions", "models", "schemas", "pagination", "login", "recovery"),
    *("passwords", "password_policy", "limits", "rate_limit", "purge", "letters", "worker"),
)


def read_modules(pattern: str) -> dict[str, ast.Module]:
    """Parse the files below app/, by their names without `.py`: `users/service`."""
    return {
        path.relative_to(APP).with_suffix("").as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(APP.glob(pattern))
    }


def find_imports(module: ast.Module) -> Iterator[str]:
    """Name what a module imports, whole: `app.users.service`; TYPE_CHECKING blocks do not count."""
    checked_only = {
        id(inner)
        for block in ast.walk(module)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for inner in ast.walk(block)
    }
    for node in ast.walk(module):
        if id(node) in checked_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = read_modules("**/*.py")


def may_import(importer: str, imported: str) -> bool:
    """Tell whether a module of a domain may import another, both written `users/service`."""
    domain, layer = importer.split("/")
    other_domain, _, other_layer = imported.partition("/")
    if SITE in {domain, other_domain}:
        return domain == SITE and (other_domain == SITE or other_layer not in ROUTERS)
    if domain == other_domain:
        return rank(layer) <= rank(other_layer)
    # Routers and dependencies are HTTP's: they may use the layers below in any domain, and a
    # router the dependencies of `auth`, which tell who is calling.
    if layer in ROUTERS:
        return other_layer not in ROUTERS
    return other_domain in KNOWN.get(domain, {"users"}) and rank(layer) <= rank(other_layer)


def rank(layer: str) -> int:
    """Give the layer's height; what is no layer stands beside the services."""
    if layer in ROUTERS:
        return 0
    return LAYERS.index(layer if layer in LAYERS else "service")


def find_domain_imports(module: ast.Module) -> set[str]:
    """Name the modules of domains that a module imports: `users/service`."""
    parts = [imported.split(".") for imported in find_imports(module)]
    return {"/".join(names[1:3]) for names in parts if names[0] == "app" and names[1] in DOMAINS}


@pytest.mark.parametrize("importer", [name for name in MODULES if name.split("/")[0] in DOMAINS])
def test_domain_module_imports_only_what_is_below_it(importer: str) -> None:
    imports = find_domain_imports(MODULES[importer])
    wrong = sorted(imported for imported in imports if not may_import(importer, imported))
    assert wrong == [], (
        f"app/{importer}.py imports {', '.join(wrong)}: a module imports what is below it, in its"
        " own domain and in those that KNOWN in tests/test_architecture.py names for it"
    )


@pytest.mark.parametrize("name", [name for name in MODULES if name.split("/")[0] not in DOMAINS])
def test_shared_module_imports_no_domain(name: str) -> None:
    wires_things = name in WIRING or name.startswith("settings/")
    domains = sorted({each.partition("/")[0] for each in find_domain_imports(MODULES[name])})
    assert wires_things or not domains, (
        f"app/{name}.py imports {', '.join(domains)}: put it into a folder with a models.py or a"
        " router.py, which makes a domain of it, or name it in WIRING in"
        " tests/test_architecture.py, if it puts parts of the service together"
    )


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in MODULES
        if name.rpartition("/")[2] in FREE_OF_THE_WEB or name.startswith("database/")
    ],
)
def test_module_below_the_routers_knows_no_web_framework(name: str) -> None:
    packages = {imported.partition(".")[0] for imported in find_imports(MODULES[name])}
    assert packages & WEB_FRAMEWORKS == set()


def test_only_main_and_the_command_line_read_settings() -> None:
    readers = {
        name
        for name, module in MODULES.items()
        if {"app.settings.Settings", "app.settings.read_settings"} & {*find_imports(module)}
    }
    assert readers <= WIRING


def test_only_the_database_commits() -> None:
    committing = {
        name
        for name, module in MODULES.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    }
    assert committing == {"database/transactions"}


def test_every_module_opens_with_one_sentence() -> None:
    for name, module in MODULES.items():
        if module.body:
            first = (ast.get_docstring(module) or "").partition("\n\n")[0]
            assert first.endswith((".", ": `uvicorn app.main:create_app --factory`.")), name


# What the documentation of the libraries does not offer, though it can be imported.
UNDOCUMENTED = ("sqlalchemy.util", "fastapi.dependencies", "fastapi._", "starlette._", "sqlmodel._")
LIBRARIES = ("fastapi", "starlette", "sqlalchemy", "sqlmodel", "pydantic", "psycopg", "uvicorn")
# `app routes` reads what a route depends on, since FastAPI has no other account of it.
READS_DEPENDANT = "auth/authorization"
DEPENDANT_FIELDS = {"dependencies", "call"}


def find_private_names(module: ast.Module) -> set[str]:
    """Name what a module takes of others that begins with an underscore, `self` and `cls` apart."""
    own = {
        name
        for node in ast.walk(module)
        for name in (
            getattr(node, "name", None),
            node.attr if isinstance(node, ast.Attribute) and is_own(node.value) else None,
            node.target.id
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
            else None,
        )
        if isinstance(name, str)
    }
    return {
        node.attr
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in own | {"_asdict", "_replace"}  # NamedTuple's, and documented
    }


def is_own(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in {"self", "cls"}


@pytest.mark.parametrize("name", MODULES)
def test_module_keeps_to_public_api(name: str) -> None:
    module = MODULES[name]
    imported = {*find_imports(module)} - (
        {"fastapi.dependencies.models.Dependant"} if name == READS_DEPENDANT else set()
    )
    assert {each for each in imported if each.startswith(UNDOCUMENTED)} == set()
    of_libraries = {each for each in imported if each.startswith(LIBRARIES)}
    assert {each for each in of_libraries if "._" in each} == set()
    assert find_private_names(module) == set()
    routes = {
        ast.unparse(node)
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith("router.routes")
    }
    assert routes == set()


def test_app_routes_relies_on_few_fields_of_dependants() -> None:
    module = MODULES[READS_DEPENDANT]
    read = {
        node.attr
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"dependant", "each"}
    }
    assert read == DEPENDANT_FIELDS
    assert {field.name for field in fields(Dependant)} >= DEPENDANT_FIELDS


def test_every_route_that_takes_the_session_is_tried_again_after_a_deadlock() -> None:
    plain = [
        str(route.path)
        for route in iter_route_contexts(create_app(Settings(_env_file=None)).routes)
        if route.methods and hasattr(route, "dependant") and takes_session(route.dependant)
        if not isinstance(route.original_route, ServiceRoute)
    ]
    assert plain == [], f"make them by app.web.router.Router, not by APIRouter: {plain}"


def takes_session(dependant: Dependant) -> bool:
    return dependant.call is get_session or any(map(takes_session, dependant.dependencies))
