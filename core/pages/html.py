"""HTML as a reader would see it: title, headings, paragraphs, lists, tables; no scripts, menus or footers.

One pass over the text, in linear time whatever the input: the standard library's parser takes quadratic time for
some (CVE-2025-6069), and pages come from strangers. An element that is not closed is read to the end, as browsers do.
"""

import re
from html import unescape

_MARKUP = re.compile(r"<(?:(!--)|([!?])|(/?)([a-zA-Z][a-zA-Z0-9:-]*))")
# The rest of a tag, past its quoted values; possessive, so that a tag without an end is given up at once.
_TAG_END = re.compile(r"""(?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")
_SPACE = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n{3,}")
# Python refuses to read numbers of thousands of digits (sys.set_int_max_str_digits), also for a character.
_ENDLESS_NUMBER = re.compile(r"&#[0-9]{8,}")

# Elements whose content is no markup, and nothing to read.
_RAW = {
    name: re.compile(rf"</{name}\b", re.IGNORECASE)
    for name in ("script", "style", "textarea", "noscript", "iframe", "xmp")
}
_NOISE = frozenset(("nav", "footer", "aside", "svg", "template", "select", "button", "dialog"))
_LINES = frozenset(
    ("address", "article", "blockquote", "body", "br", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption",
     "figure", "form", "header", "hr", "li", "main", "ol", "pre", "section", "summary", "table", "tr", "ul")
)  # fmt: skip
_PARAGRAPHS = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6"))
_MARKS = {f"h{level}": "#" * level + " " for level in range(1, 7)} | {"li": "- "}
_CELLS = frozenset(("td", "th"))


def readable(html: str) -> str:
    """Return the text of a page: a heading as `# heading`, an item as `- item`, a tab after a cell, the title first."""
    reader = _Reader()
    _walk(html, reader)
    return reader.text()


def _walk(html: str, reader: "_Reader") -> None:
    position = 0
    while (found := _MARKUP.search(html, position)) is not None:
        reader.characters(html[position : found.start()])
        end = _end_of(html, found)
        if end is None:
            return
        comment, declaration, slash, name = found.groups()
        position = end
        if comment or declaration:
            continue
        if not slash and (raw := _RAW.get(name.lower())) is not None:
            closing = raw.search(html, position)
            if closing is None:
                return
            position = closing.start()
            continue
        reader.tag(name.lower(), bool(slash))
    reader.characters(html[position:])


def _end_of(html: str, found: re.Match[str]) -> int | None:
    """Return where a comment, a declaration or a tag ends; `None` if it never does."""
    if found[1]:
        end = html.find("-->", found.end() - 2)
        return None if end < 0 else end + 3
    if found[2]:
        end = html.find(">", found.end())
        return None if end < 0 else end + 1
    tag = _TAG_END.match(html, found.end())
    return None if tag is None else tag.end()


class _Reader:
    """Collects what is to be read. `noise` is the element being left out, open `depth` times."""

    def __init__(self) -> None:
        self._title: list[str] = []
        self._pieces: list[str] = ["\n"]
        self._in_title = False
        self._in_pre = False
        self._noise = ""
        self._depth = 0

    def characters(self, text: str) -> None:
        if self._noise or not text:
            return
        text = unescape(_ENDLESS_NUMBER.sub("\ufffd", text))
        if self._in_title:
            self._title.append(text)
        elif self._in_pre:
            self._pieces.append(text)
        else:
            self._add(_SPACE.sub(" ", text))

    def tag(self, name: str, closes: bool) -> None:
        if self._leaves_out(name, closes):
            return
        if name == "title":
            self._in_title = not closes and not self._title
        elif name == "pre":
            self._in_pre = not closes
        self._separate(name, closes)

    def text(self) -> str:
        lines = "\n".join(line.rstrip() for line in "".join(self._pieces).split("\n"))
        body = _BLANK_LINES.sub("\n\n", lines).strip("\n")
        title = _SPACE.sub(" ", "".join(self._title)).strip()
        return f"{title}\n\n{body}".strip("\n") if title else body

    def _separate(self, name: str, closes: bool) -> None:
        is_after_mark = self._pieces[-1] in _MARKS.values()
        if name in _CELLS and closes:
            self._pieces.append("\t")
        elif (name in _LINES or name in _PARAGRAPHS) and not is_after_mark:
            self._pieces.append("\n\n" if name in _PARAGRAPHS else "\n")
        if name in _MARKS and not closes:
            self._pieces.append(_MARKS[name])

    def _add(self, text: str) -> None:
        """Add text whose white space is single blanks; one blank between two texts is enough."""
        text = text.lstrip(" ") if self._pieces[-1][-1].isspace() else text
        if text:
            self._pieces.append(text)

    def _leaves_out(self, name: str, closes: bool) -> bool:
        """Follow the noisy elements; say whether a tag belongs to one."""
        if not self._noise and name in _NOISE and not closes:
            self._noise = name
        if not self._noise:
            return False
        if name == self._noise:
            self._depth += -1 if closes else 1
            self._noise = self._noise if self._depth else ""
        return True
