"""A page's bytes as text: by type, by character set, and what is no text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.pages import UnreadablePage, page_text


class Case(Struct, frozen=True):
    id: str
    data: bytes
    media_type: str
    text: str
    charset: str | None = None


CASES = [
    Case("HTML", b"<p>a</p>", "text/html", "a"),
    Case("XHTML", b"<p>a</p>", "application/xhtml+xml", "a"),
    Case("plain text is not read as HTML", b" <p>a</p>\n", "text/plain", "<p>a</p>"),
    Case("Markdown", b"# a\n", "text/markdown", "# a"),
    Case("JSON", b'{"a": 1}', "application/json", '{"a": 1}'),
    Case("a kind of JSON", b'{"a": 1}', "application/ld+json", '{"a": 1}'),
    Case("a feed", b"<rss/>", "application/rss+xml", "<rss/>"),
    Case("UTF-8 unsaid", "\u00e9".encode(), "text/plain", "\u00e9"),
    Case("the server's character set", b"\xe9", "text/plain", "\u00e9", "iso-8859-1"),
    Case("the page's own", b'<meta charset="windows-1252"><p>\x80', "text/html", "\u20ac"),
    Case("the page's own, as of old", b'<meta content="text/html; charset=koi8-r">\xc1', "text/html", "\u0430"),
    Case("the server's comes first", b'<meta charset="koi8-r"><p>\xe9', "text/html", "\u00e9", "latin-1"),
    Case("a byte order mark comes before both", "\u00e9".encode("utf-16"), "text/html", "\u00e9", "latin-1"),
    Case("a mark of UTF-8", b"\xef\xbb\xbfa", "text/plain", "a"),
    Case("Japanese", "\u3042".encode("shift_jis"), "text/plain", "\u3042", "shift_jis"),
    Case("a character set nobody knows", b"a", "text/plain", "a", "x-klingon"),
    Case("a codec that is no character set", b"a-", "text/plain", "a-", "punycode"),
    Case("a codec of bytes", b"61", "text/plain", "61", "hex"),
    Case("an ISO 8859 that does not exist", b"a", "text/plain", "a", "iso-8859-99"),
    Case("bytes that are not of the set", b"a\xff", "text/plain", "a\ufffd", "utf-8"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_pages_become_text(case: Case) -> None:
    assert page_text(case.data, case.media_type, case.charset) == case.text


@pytest.mark.parametrize(
    ("media_type", "says"),
    [("image/png", "of the type image/png"), ("application/pdf", "application/pdf"), (None, "does not say")],
)
def test_what_is_no_text_says_what_it_is(media_type: str | None, says: str) -> None:
    with pytest.raises(UnreadablePage, match=says):
        page_text(b"x", media_type, None)


@given(st.binary(max_size=100), st.sampled_from(["text/html", "text/plain"]), st.none() | st.text(max_size=12))
def test_garbage_becomes_some_text(data: bytes, media_type: str, charset: str | None) -> None:
    assert page_text(data, media_type, charset).encode() is not None
