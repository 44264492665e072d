from typing import Any

import pytest
from jinja2 import UndefinedError

from app.web.pages.rendering import Pages

PAGES = Pages(service="Ada & Co <script>", password_min_length=15)


def render(template: str, **values: Any) -> str:
    return bytes(PAGES.render(template, **values).body).decode()


def test_asvs_1_2_1_render_escapes_every_value() -> None:
    html = render("reset_requested.html", email='"><script>alert(1)</script>@example.com')
    assert "<script>alert" not in html
    assert "&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;@example.com" in html
    assert "Ada &amp; Co &lt;script&gt;" in html


def test_asvs_1_2_1_render_escapes_what_was_typed() -> None:
    html = render("set_password.html", typed={"token": '" onfocus="alert(1)" autofocus x="'})
    assert 'value="&#34; onfocus=&#34;alert(1)&#34; autofocus x=&#34;"' in html


def test_render_fills_in_no_password() -> None:
    typed = {"token": "canary-1", "new_password": "canary-2"}
    html = render("set_password.html", typed=typed)
    assert "canary-1" in html
    assert "canary-2" not in html


def test_render_refuses_to_leave_a_gap() -> None:
    with pytest.raises(UndefinedError, match="email"):
        render("reset_requested.html")
