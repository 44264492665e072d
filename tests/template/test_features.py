"""What each feature's file says of the code: it must be there, and nothing else may need it."""

import shutil
from pathlib import Path

import pytest

from template.cutting import apply_cut, take_out
from template.errors import TemplateError
from template.features import (
    Cut,
    choose_features,
    list_names,
    read_feature,
    read_features,
    read_template,
)
from tests.servers import ROOT

FEATURES = [*read_features().values(), read_template()]


@pytest.mark.parametrize("name", [each.name for each in FEATURES])
def test_what_a_feature_takes_out_is_there(name: str, tmp_path: Path) -> None:
    (feature,) = [each for each in FEATURES if each.name == name]
    cut = {cut.file for cut in feature.cuts} | {drop.file for drop in feature.drops}
    for file in cut:
        source = ROOT / "template/new" / file if file == "README.md" else ROOT / file
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, tmp_path / file)
    for path in feature.paths:
        assert (ROOT / path).exists(), path
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
    take_out(tmp_path, [feature])


def test_features_that_go_with_another_go_too() -> None:
    names = {feature.name for feature in choose_features(["client", "pages"])}
    assert names >= {"client", "pages", "client+pages"}
    assert {feature.name for feature in choose_features([*list_names(), "items"])} == {
        *read_features()
    }


def test_readme_names_them() -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in list_names() if f"`{name}`" not in page] == []


def test_unknown_feature_is_refused_in_a_line() -> None:
    with pytest.raises(TemplateError) as refused:
        choose_features(["items", "billing"])
    assert str(refused.value).startswith("there is no feature 'billing'; there are audit, client, ")


def test_cut_that_is_not_there_once_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "billing.toml"
    page.write_text('about = "invoices"\n[[cut]]\nfile = "main.py"\ntext = "billing"\n')
    for text, found in (("", 0), ("billing, billing", 2)):
        (tmp_path / "main.py").write_text(text)
        with pytest.raises(TemplateError, match=f"main.py has this {found} times, not once"):
            take_out(tmp_path, [read_feature(page)])


def test_end_of_a_cut_that_has_moved_is_named_and_takes_nothing(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("one\ntwo\nthree\n")
    with pytest.raises(TemplateError, match=r"page.md has no four behind two"):
        apply_cut(tmp_path, Cut("page.md", "two\n", until="four\n"))
    assert page.read_text() == "one\ntwo\nthree\n"
    apply_cut(tmp_path, Cut("page.md", "two\n", until="\n\n"))
    assert page.read_text() == "one\n\n"
