"""A fetched page as text: its characters decoded, and HTML reduced to what a reader would see."""

import codecs
import re

from core.pages.html import readable

HTML_TYPES = frozenset(("text/html", "application/xhtml+xml"))
TEXT_TYPES = frozenset(
    ("text/plain", "text/markdown", "text/x-markdown", "text/xml", "application/json", "application/xml")
)
TEXT_SUFFIXES = ("+json", "+xml")

ACCEPT = "text/html, application/xhtml+xml, text/markdown, text/plain, application/json, application/xml;q=0.9"
"""The Accept header that asks for what is understood here."""

# A charset is a codec's name that a stranger chose: only character sets, none of Python's other codecs.
_CHARSETS = re.compile(
    r"utf-?8|utf-?16(?:le|be)?|us-ascii|ascii|latin-?1|iso-?8859-?\d{1,2}|(?:windows-|cp)125\d|koi8-[ru]"
    r"|shift[-_]jis|euc-(?:jp|kr)|iso-2022-jp|gbk|gb2312|gb18030|big5",
    re.IGNORECASE,
)
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_META = re.compile(rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9_-]{1,40})", re.IGNORECASE)
_META_SEARCH_BYTES = 1024


class UnreadablePage(ValueError):
    """The page is no text. The message ends a sentence: it says of which type it is."""


def page_text(data: bytes, media_type: str | None, charset: str | None) -> str:
    """Return a page's text. `media_type` and `charset` are what its server says. Raises `UnreadablePage`."""
    if media_type in HTML_TYPES:
        return readable(_decode(data, charset or _declared_in(data)))
    if media_type in TEXT_TYPES or (media_type or "").endswith(TEXT_SUFFIXES):
        return _decode(data, charset).strip()
    raise UnreadablePage(
        f"it is of the type {media_type}" if media_type else "its server does not say of what type it is"
    )


def _decode(data: bytes, charset: str | None) -> str:
    for mark, codec in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(codec, "replace")
    known = charset if charset and _CHARSETS.fullmatch(charset) else "utf-8"
    try:
        return data.decode(known, "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def _declared_in(data: bytes) -> str | None:
    """Return the character set that an HTML page names itself (WHATWG HTML, section 13.2.3.2)."""
    found = _META.search(data[:_META_SEARCH_BYTES])
    return found[1].decode("ascii") if found else None
