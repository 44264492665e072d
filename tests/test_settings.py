import re

from app.settings import Settings
from tests.servers import ROOT


def test_env_example_names_every_setting_and_no_other() -> None:
    lines = (ROOT / ".env.example").read_text()
    named = re.findall(r"^([A-Z_]+)=", lines, re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_env_example_gives_the_defaults() -> None:
    example = Settings(_env_file=ROOT / ".env.example")
    assert example == Settings(_env_file=None)
