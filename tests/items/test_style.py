from tests.servers import ROOT
from tools.domain.fields import read_definition
from tools.domain.references import find_targets
from tools.domain.rendering import render
from tools.domain.words import read_noun


def test_make_domain_writes_items_as_they_are() -> None:
    fields = "title:str(255) description:text(255)? owner:user"
    item = read_definition(read_noun("item"), fields, find_targets(ROOT))
    for path, text in render(item).items():
        if path.parts[0] == "app":  # the tests of items have more to say
            assert (ROOT / path).read_text() == text, path
