"""URLs in what people write, without the punctuation around them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.pages import urls_in


class Case(Struct, frozen=True):
    id: str
    text: str
    urls: tuple[str, ...]


CASES = [
    Case("none", "no address here, not example.com either", ()),
    Case("one alone", "https://example.com/a?b=c&d=e#f", ("https://example.com/a?b=c&d=e#f",)),
    Case("http and capitals", "HTTP://EXAMPLE.com/A", ("HTTP://EXAMPLE.com/A",)),
    Case("the end of a sentence", "See https://example.com/a.", ("https://example.com/a",)),
    Case("the end of a question", "Is it https://example.com?!", ("https://example.com",)),
    Case("a comma", "https://example.com/a, https://example.com/b", ("https://example.com/a", "https://example.com/b")),
    Case("each once", "https://a.example https://b.example https://a.example", ("https://a.example", "https://b.example")),
    Case("in brackets", "(see https://example.com/a)", ("https://example.com/a",)),
    Case("brackets of its own", "https://example.com/a_(b)", ("https://example.com/a_(b)",)),
    Case("brackets of both kinds", "(https://example.com/a_(b))", ("https://example.com/a_(b)",)),
    Case("a Markdown link", "[this](https://example.com/a) and", ("https://example.com/a",)),
    Case("a Markdown link that shows itself", "[https://example.com/a](https://example.com/a)", ("https://example.com/a",)),
    Case("angle brackets", "<https://example.com/a>", ("https://example.com/a",)),
    Case("HTML", '<a href="https://example.com/a">x</a>', ("https://example.com/a",)),
    Case("code", "`curl https://example.com/a`", ("https://example.com/a",)),
    Case("bold", "**https://example.com/a**", ("https://example.com/a",)),
    Case("another language", "\u89c1https://example.com/a \u3002", ("https://example.com/a",)),
    Case("lines", "https://example.com/a\nhttps://example.com/b", ("https://example.com/a", "https://example.com/b")),
    Case("no host", "https:// and http://.", ()),
    Case("another scheme", "ftp://example.com/a file:///etc/passwd", ()),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_urls_are_found(case: Case) -> None:
    assert urls_in(case.text) == case.urls


@given(st.text("ahtps:/.() [],*\n", max_size=200))
def test_what_is_found_stands_in_the_text(text: str) -> None:
    assert all(url in text and url.lower().startswith("http") for url in urls_in(text))


def test_long_runs_of_punctuation_take_no_time() -> None:
    assert urls_in("https://a.example/" + ")" * 200_000) == ("https://a.example/",)
