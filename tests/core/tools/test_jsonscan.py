"""The laws of the JSON lexer: what is JSON passes unchanged, what is not is refused or mended, at any chunking."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.tools.jsonscan import MAX_DEPTH, JsonScanner
from tests.strategies import pieces

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
CONTAINERS = st.lists(VALUES, max_size=4) | st.dictionaries(st.text(max_size=5), VALUES, max_size=4)
SEPARATORS = st.tuples(st.sampled_from((",", ", ", " , ", "\n,\t")), st.sampled_from((":", ": ", " :\n ")))


@st.composite
def dumps(draw: st.DrawFn, values: st.SearchStrategy[Any] = CONTAINERS) -> str:
    """Draw a JSON text in any of the ways that json.dumps can write it."""
    return json.dumps(
        draw(values),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.none() | st.integers(0, 4) | st.just("\t")),
        separators=draw(SEPARATORS),
    )


JSON_LIKE = st.lists(
    st.sampled_from(
        (
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            '"',
            '"a"',
            "\\",
            "\\u12",
            "\\ud83d",
            "1",
            "-",
            "0",
            ".5",
            "e9",
            "true",
            "nul",
            " ",
            "\n",
            "\x00",
            "<",
            "x",
            "\u00e9",
        )
    ),
    max_size=14,
).map("".join)


def scan(chunks: list[str], root: str = "") -> tuple[str, JsonScanner, int]:
    """Return what was forwarded, the scanner, and how many characters it took."""
    scanner = JsonScanner(root)
    out, taken = [], 0
    for chunk in chunks:
        forwarded, position = scanner.feed(chunk)
        out.append(forwarded)
        taken += position
        if scanner.complete or scanner.failure:
            break
    return "".join(out), scanner, taken


@given(text=dumps(), data=st.data())
def test_json_is_forwarded_unchanged_and_completes_exactly_at_its_end(text: str, data: st.DataObject) -> None:
    for chunks in ([text], list(text), data.draw(pieces(text)), [text + " x"], [*text, "}"]):
        forwarded, scanner, taken = scan(chunks)
        assert (forwarded, scanner.complete, scanner.failure, taken) == (text, True, "", len(text))


@given(text=dumps(VALUES), data=st.data())
def test_no_beginning_of_json_fails_and_none_is_complete(text: str, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, max(len(text) - 1, 0)))
    forwarded, scanner, _ = scan([text[:end]])
    assert not scanner.failure
    assert not scanner.complete
    assert text.startswith(forwarded)


@given(text=dumps(VALUES))
def test_every_value_is_whole_at_its_finish(text: str) -> None:
    forwarded, scanner, _ = scan([text])
    missing = scanner.finish()
    assert missing is not None
    assert forwarded + missing == text


@given(text=JSON_LIKE | st.text(max_size=12) | dumps(), data=st.data())
def test_what_is_forwarded_parses_or_is_refused(text: str, data: st.DataObject) -> None:
    whole, scanner, taken = scan([text])
    again, other, taken_again = scan(data.draw(pieces(text)))
    assert (whole, scanner.complete, scanner.failure, scanner.at_markup) == (
        again,
        other.complete,
        other.failure,
        other.at_markup,
    )
    if scanner.complete:
        assert taken == taken_again
        json.loads(whole)
        assert whole == text[:taken] or not parses(text[:taken])
    elif (missing := scanner.finish()) is not None:
        json.loads(whole + missing)
        assert other.finish() == missing


def parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class Case(Struct, frozen=True):
    """`mended` is what a text becomes, its missing end included; None when it is refused."""

    id: str
    text: str
    mended: str | None
    root: str = ""


CASES = [
    Case("a trailing comma is left out, its space stays", "[1, 2 , \n]", "[1, 2  \n]"),
    Case("two commas are refused", "[1,,2]", None),
    Case("a comma at the beginning is refused", "[,1]", None),
    Case("a missing comma is refused", "[1 2]", None),
    Case("a missing colon is refused", '{"a" 1}', None),
    Case("a missing value is refused", '{"a":}', None),
    Case("a key without quotes is refused", "{a:1}", None),
    Case("single quotes are refused", "{'a':1}", None),
    Case("a key that is a number is refused", "{1:1}", None),
    Case("a wrong bracket is refused", "[1}", None),
    Case("not a number is refused", "[NaN]", None),
    Case("infinity is refused", "[Infinity]", None),
    Case("a plus sign is refused", "[+1]", None),
    Case("a leading zero is refused", "[01]", None),
    Case("a bare point is refused", "[1.]", None),
    Case("a bare exponent is refused", "[1e]", None),
    Case("a number of a thousand digits is refused", "[" + "1" * 1001 + "]", None),
    Case("a word in capitals is refused", "[True]", None),
    Case("a comment is refused", "[1 // one\n]", None),
    Case("the wrong root is refused", "[1]", None, root="{"),
    Case("prose is refused", "Here you are: {}", None),
    Case("nothing is no value", "  ", None),
    Case("an open string has no end", '{"a": "b', None),
    Case("an open key has no end", '{"a', None),
    Case("a key alone has no end", '{"a"', None),
    Case("a colon has no end", '{"a":', None),
    Case("missing brackets are added", '{"a":[{"b":2', '{"a":[{"b":2}]}'),
    Case("a half word has no end", '{"a":tru', None),
    Case("a half number has no end", '{"a":1.', None),
    Case("a number alone ends where the text does", "12", "12"),
    Case("raw control characters are escaped", '["\n\t\x07\x1f"]', '["\\n\\t\\u0007\\u001f"]'),
    Case("a lone backslash is doubled", r'["\d \x"]', r'["\\d \\x"]'),
    Case("a backslash before a raw line end is doubled", '["\\\n"]', r'["\\\n"]'),
    Case("a half escape is doubled", r'["\u00g"]', r'["\\u00g"]'),
    Case("an escape that never comes to its end is doubled", r'["\u"]', r'["\\u"]'),
    Case("other white space is refused", "[\u00a01]", None),
    Case("the deepest nesting passes", "[" * MAX_DEPTH + "]" * MAX_DEPTH, "[" * MAX_DEPTH + "]" * MAX_DEPTH),
    Case("deeper nesting is refused", "[" * (MAX_DEPTH + 1), None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_not_json_is_mended_or_refused(case: Case) -> None:
    for chunks in ([case.text], list(case.text)):
        forwarded, scanner, _ = scan(chunks, case.root)
        missing = scanner.finish()
        assert (None if missing is None else forwarded + missing) == case.mended
        assert case.mended is None or parses(case.mended)


SLOW = [
    '["' + "x" * 100_000 + '"]',
    "[" + "1," * 50_000,
    "[1," + " " * 100_000 + "2]",
    '["' + "\\" * 100_001,
    "[" + "9" * 100_000,
]


@pytest.mark.parametrize(
    "text",
    SLOW,
    ids=["a long string", "many numbers", "much space behind a comma", "many backslashes", "a long number"],
)
def test_time_is_linear_in_the_text(text: str) -> None:
    assert seconds(text * 4) < 12 * seconds(text) + 0.2


def seconds(text: str) -> float:
    """Return the CPU time to take a text letter by letter."""
    began = time.process_time()
    scan(list(text))
    return time.process_time() - began
