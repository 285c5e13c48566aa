import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from core.events import Citation
from core.wire.chatgpt_web.citations import MAX_MARKER_CHARS, Mark, MarkerFilter, citations
from tests.strategies import JSON_VALUES, pieces

OPEN, CLOSE, NEXT = "\ue200", "\ue201", "\ue202"
CITE = f"{OPEN}cite{NEXT}turn0search0{NEXT}turn1news2{CLOSE}"


class Case(Struct, frozen=True):
    """`expected` is the text without its markers, `marks` the places where they were."""

    id: str
    given: str
    expected: str
    marks: tuple[tuple[int, int], ...] = ()


MARKERS = [
    Case("a text without markers passes", "plain, é and 🚀", "plain, é and 🚀"),
    Case("a citation is taken out", f"So{CITE}.", "So.", ((2, 2),)),
    Case("two citations in a row", f"So{CITE}{CITE}", "So", ((2, 2), (2, 2))),
    Case("a text may be nothing but a citation", CITE, "", ((0, 0),)),
    Case("a list of links is taken out", f"a{OPEN}navlist{NEXT}Title{NEXT}turn0news1{CLOSE}b", "ab", ((1, 1),)),
    Case("an entity leaves its name", f'{OPEN}entity{NEXT}["city","Panamá","x"]{CLOSE}!', "Panamá!", ((0, 6),)),
    Case("an entity that is no list leaves nothing", f"{OPEN}entity{NEXT}Panamá{CLOSE}!", "!", ((0, 0),)),
    Case("a link leaves its words", f"{OPEN}url{NEXT}the site{NEXT}turn0search1{CLOSE}!", "the site!", ((0, 8),)),
    Case("the old form is taken out", "So【7†source】.", "So.", ((2, 2),)),
    Case("the old form with two numbers is taken out", "So【7:12†L3-L5】.", "So.", ((2, 2),)),
    Case(
        "other words in these brackets are text", "【注意】 and 【7】 and 【7†open", "【注意】 and 【7】 and 【7†open"
    ),
    Case("the brackets of a highlight are taken out", "\ue203the span\ue204" + CITE, "the span", ((8, 8),)),
    Case("a lone closing character is taken out", f"a{CLOSE}b{NEXT}c", "abc"),
    Case("a marker that never begins its references is text", f"a{OPEN}b c", "ab c"),
    Case("a marker that never ends is left out at the end", f"a{OPEN}cite{NEXT}turn0sea", "a"),
    Case("an opening before another is no marker", f"a{OPEN}b{CITE}c", "abc", ((2, 2),)),
    Case("a marker as long as can be is one", f"{OPEN}{'x' * (MAX_MARKER_CHARS - 2)}{CLOSE}b", "b", ((0, 0),)),
    Case("a longer one is text", f"{OPEN}{'x' * (MAX_MARKER_CHARS - 1)}{CLOSE}b", "x" * (MAX_MARKER_CHARS - 1) + "b"),
]


def filtered(chunks: list[str]) -> tuple[str, list[Mark]]:
    marker_filter = MarkerFilter()
    text = "".join([*map(marker_filter.feed, chunks), marker_filter.close()])
    assert marker_filter.sent_chars == len(text)
    return text, marker_filter.marks


@pytest.mark.parametrize("case", MARKERS, ids=lambda case: case.id)
def test_markers_are_taken_out(case: Case) -> None:
    text, marks = filtered([case.given])
    assert (text, tuple((mark.start, mark.end) for mark in marks)) == (case.expected, case.marks)


@pytest.mark.parametrize("case", MARKERS, ids=lambda case: case.id)
def test_no_cut_matters(case: Case) -> None:
    expected = filtered([case.given])
    assert filtered(list(case.given)) == expected
    for cut in range(0, len(case.given), len(case.given) // 200 + 1):
        assert filtered([case.given[:cut], case.given[cut:]]) == expected


BITS = st.lists(
    st.sampled_from(
        [OPEN, CLOSE, NEXT, "\ue203", "\ue204", "cite", "turn0search0", "【", "7", ":", "†", "source", "】", "\n"]
    )
    | st.text(max_size=4)
).map("".join)


@given(BITS, st.data())
def test_chunking_never_matters(text: str, data: st.DataObject) -> None:
    assert filtered(data.draw(pieces(text))) == filtered([text])


@given(BITS)
@example(f"{OPEN}{NEXT}0\n")
def test_nothing_but_markers_is_removed(text: str) -> None:
    """What is shown and what the marks hold, put together in order, is the text, private characters aside."""
    shown, marks = filtered([text])
    rebuilt, position = "", 0
    for mark in marks:
        rebuilt += shown[position : mark.start] + mark.text
        position = mark.end
    rebuilt += shown[position:]
    bare = without_private(text)
    cut_marker = text.rpartition(OPEN)
    assert without_private(rebuilt) == bare or without_private(rebuilt) + without_private(cut_marker[2]) == bare


def without_private(text: str) -> str:
    return "".join(character for character in text if not "\ue200" <= character <= "\ue204")


@given(st.text().filter(lambda text: not any("\ue200" <= c <= "\ue204" or c == "【" for c in text)), st.data())
def test_a_text_without_markers_is_never_held_back(text: str, data: st.DataObject) -> None:
    chunks = data.draw(pieces(text))
    assert list(map(MarkerFilter().feed, chunks)) == chunks


# Marks to sources.


class Sources(Struct, frozen=True):
    id: str
    mark: str
    references: object = None
    groups: object = None
    legacy: object = None
    expected: tuple[tuple[str, str], ...] = ()


A, B = {"url": "https://a.example", "title": "A"}, {"url": "https://b.example", "title": "B"}
PAIR_A, PAIR_B = ("https://a.example", "A"), ("https://b.example", "B")


def entry(turn: int, kind: str, index: int, source: dict[str, str]) -> dict[str, object]:
    return {**source, "ref_id": {"turn_index": turn, "ref_type": kind, "ref_index": index}}


GROUPS = [
    {
        "type": "search_result_group",
        "entries": [entry(0, "search", 0, A), entry(1, "news", 2, B), entry(9, "view", 9, A)],
    }
]


SOURCES = [
    Sources(
        "a reference names the sources of its marker",
        CITE,
        [{"matched_text": CITE, "items": [A, B]}],
        expected=(PAIR_A, PAIR_B),
    ),
    Sources("a reference without items is its own source", CITE, [{"matched_text": CITE, **A}], expected=(PAIR_A,)),
    Sources(
        "a source that is named twice counts once", CITE, [{"matched_text": CITE, "items": [A, A]}], expected=(PAIR_A,)
    ),
    Sources("a reference to another marker is not this one's", CITE, [{"matched_text": "x", "items": [A]}]),
    Sources("search results are found by name", CITE, groups=GROUPS, expected=(PAIR_A, PAIR_B)),
    Sources(
        "a reference comes before search results",
        CITE,
        [{"matched_text": CITE, "items": [B]}],
        GROUPS,
        expected=(PAIR_B,),
    ),
    Sources(
        "the old form is found by its number",
        "【7†source】",
        legacy=[{"metadata": {**A, "extra": {"cited_message_idx": 7}}}],
        expected=(PAIR_A,),
    ),
    Sources(
        "the old form is found by the first of two numbers",
        "【7:3†source】",
        legacy=[{"metadata": {**A, "extra": {"cited_message_idx": 7}}}],
        expected=(PAIR_A,),
    ),
    Sources(
        "the old form with another number is not",
        "【8†source】",
        legacy=[{"metadata": {**A, "extra": {"cited_message_idx": 7}}}],
    ),
    Sources(
        "a source without a title has an empty one",
        CITE,
        [{"matched_text": CITE, "items": [{"url": "https://a.example"}]}],
        expected=(("https://a.example", ""),),
    ),
    Sources(
        "a source without an address is none",
        CITE,
        [{"matched_text": CITE, "items": [{"title": "A"}, {"url": ""}, {"url": 7}]}],
    ),
    Sources("nothing is known", CITE),
]


@pytest.mark.parametrize("case", SOURCES, ids=lambda case: case.id)
def test_marks_become_citations(case: Sources) -> None:
    found = citations([Mark(case.mark, 3, 5)], case.references, case.groups, case.legacy)
    assert found == tuple(Citation(url, title, 3, 5) for url, title in case.expected)


@given(JSON_VALUES, JSON_VALUES, JSON_VALUES)
def test_metadata_of_any_shape_is_survived(references: object, groups: object, legacy: object) -> None:
    citations([Mark(CITE, 0, 0), Mark("【7†source】", 0, 0)], references, [groups], [legacy])
