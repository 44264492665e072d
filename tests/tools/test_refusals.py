"""What cannot be written is said in a line, and the work tree stays as it was."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import copy_repository
from tools.domain.__main__ import main
from tools.domain.files import write_all
from tools.domain.words import pluralize, read_noun

TITLE = "title:str owner:user"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project, which must be as it was when all tests are done."""
    copy = copy_repository(tmp_path_factory.mktemp("copy"))
    before = read_files(copy)
    yield copy
    assert read_files(copy) == before


def read_files(folder: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("", TITLE, 'NAME is missing: make domain NAME=project FIELDS="title:str(255)"'),
        ("it's", TITLE, "is no name"),
        ("../users", TITLE, "NAME='../users' is no name"),
        ("a/b", TITLE, "is no name"),
        ("café", TITLE, "NAME='caf\\xe9' is no name"),
        ("two words", TITLE, "is no name"),
        ("x" * 200, TITLE, "is too long: 24 characters at most"),
        ("class", TITLE, "NAME='class' is a word of Python"),
        ("list", TITLE, "NAME='list' is a word of Python"),
        ("none", TITLE, "NAME='none' is a word of Python"),
        ("session", TITLE, "is what each service calls something else"),
        ("gadgets", TITLE, "give one of them, as in NAME=gadget"),
        ("user", TITLE, "there is a domain users already, in app/users"),
        ("outbox", TITLE, "there is a table outbox already"),
        ("server", TITLE, "tests/servers.py is there already"),
        ("page", TITLE, "there is a class PagePublic already"),
        ("text", "title:text", "app/texts/models.py would have Text twice"),
        ("gadget", "", "FIELDS has nothing to say about a gadget"),
        ("gadget", "owner:user", "FIELDS has nothing to say about a gadget"),
        ("gadget", "title", "'title' is no field"),
        ("gadget", "title:str:uniqe", "'title:str:uniqe' is no field"),
        ("gadget", "title:str title:int", "FIELDS has title twice"),
        ("gadget", 'title:str="x', "FIELDS has a quote that nothing closes"),
        ("gadget", "Title:str", "'Title' is no name of a field"),
        ("gadget", "título:str", "'t\\xedtulo' is no name of a field"),
        ("gadget", "id:uuid", "id is a field that a gadget has by itself"),
        ("gadget", "created_at:datetime", "created_at is a field that a gadget has by itself"),
        ("gadget", "from:date", "from is a word of Python"),
        ("gadget", "date:date", "date is a word of Python"),
        ("gadget", "metadata:json", "metadata is what a model's own attribute is called"),
        ("gadget", "model_name:str", "model_name is what a model's own attribute is called"),
        ("gadget", f"{'x' * 60}:str", "PostgreSQL would cut off uq_gadget_xxx"),
        ("gadget", "title:string", "title: there is no type and no table string; types are str,"),
        ("gadget", "title:str(0)", "title: "),
        ("gadget", "title:str(a)", "title: str(a) needs numbers"),
        ("gadget", "done:bool(1)", "done: bool takes no arguments"),
        ("gadget", "price:decimal(2,3)", "price: "),
        ("gadget", "price:decimal(40,2)", "price: "),
        ("gadget", "price:decimal(4,2)=100", "price: the default is no decimal(4,2)"),
        ("gadget", "state:enum", "state: enum(a,b) has words"),
        ("gadget", "state:enum(a,a)", "state: enum has a member twice"),
        ("gadget", "state:enum(a,b)=c", "state: the default is not one of a, b"),
        ("gadget", "done:bool=maybe", "done: the default is true or false"),
        ("gadget", "size:int=many", "size: the default is no whole number"),
        ("gadget", "due:date=2026-02-30", "due: the default is like 2026-01-31"),
        ("gadget", "due_at:date", "due_at: what ends in _at is of the type datetime"),
        ("gadget", "title:str(3)=long", "title: the default is longer than 3 characters"),
        ("gadget", "meta:json=[1]", "meta: the default is an object"),
        ("gadget", "done:bool:unique", "done: there are too few values"),
        ("gadget", "notes:text:index", "notes: text without a length"),
        ("gadget", "title:str shelf:shelf", "shelf: there is no type and no table"),
        ("gadget", "title:str limit:rate_limit", "limit: there is no type and no table"),
        ("gadget", "title:str parent:gadget", "is optional: parent:gadget?"),
        ("gadget", "title:str reviewer:user:unique", "a unique reference is optional"),
        ("gadget", "title:str session:login_session", "write `async def make_login_session("),
        ("gadget", "title:str reviewer:user=1", "a reference has no default"),
        ("gadget", "title:str owner:user?", "the owner is a user, and nothing else: owner:user"),
    ],
)
def test_what_cannot_be_written_is_said_in_a_line(
    copy: Path, name: str, fields: str, message: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(name, fields, root=copy)
    said = str(exit_.value.code)
    assert said.startswith("make domain: ")
    assert message in said
    assert "\n" not in said


def test_domain_that_was_written_is_not_written_again(copy: Path) -> None:
    (copy / "app" / "gadgets").mkdir()
    with pytest.raises(SystemExit, match="app/gadgets is there already"):
        main("gadget", TITLE, root=copy)
    (copy / "app" / "gadgets").rmdir()


def test_file_without_its_place_is_named(copy: Path) -> None:
    main_py = copy / "app" / "main.py"
    text = main_py.read_text()
    main_py.write_text(text.replace("for router in", "for each in"))
    with pytest.raises(SystemExit, match=r"app/main.py has no `for router in \(...\)` any more"):
        main("gadget", TITLE, root=copy)
    main_py.write_text(text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interruption_leaves_all_as_it_was(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "old.py").write_text("old")

    def files() -> Iterator[tuple[Path, str]]:
        yield Path("new/deep/one.py"), "new"
        yield Path("old.py"), "new"
        assert (tmp_path / "old.py").read_text() == "new"
        signal.raise_signal(number)
        yield Path("never.py"), "new"

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        write_all(tmp_path, files())
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"old.py": "old"}


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("gadget", "gadgets"),
        ("category", "categories"),
        ("day", "days"),
        ("box", "boxes"),
        ("address", "addresses"),
        ("branch", "branches"),
        ("news", "news"),
        ("blog_post", "blog_posts"),
        ("contact_person", "contact_people"),
    ],
)
def test_plurals(one: str, many: str) -> None:
    assert pluralize(one) == many


def test_plural_can_be_given_and_a_name_be_that_of_the_class() -> None:
    noun = read_noun("BlogHoof", "BlogHooves")
    assert (noun.one, noun.many, noun.class_name) == ("blog_hoof", "blog_hooves", "BlogHoof")
    assert (noun.path, noun.a) == ("blog-hooves", "a blog hoof")
