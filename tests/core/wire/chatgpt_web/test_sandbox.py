"""Mentions of files become links, however the text is cut into pieces; all other text stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.wire.chatgpt_web.sandbox import MAX_PATH_CHARS, SandboxLinks, sandbox_file
from tests.strategies import pieces

LONG = "a" * (MAX_PATH_CHARS - len(".csv")) + ".csv"


class Case(Struct, frozen=True):
    """`expected` has `{path}` for the link to a path below /mnt/data."""

    id: str
    given: str
    expected: str


CASES = [
    Case("a text without files passes", "plain, é and 🚀 and a sandbox", "plain, é and 🚀 and a sandbox"),
    Case("a link in Markdown", "See [it](sandbox:/mnt/data/a.csv).", "See [it]({a.csv})."),
    Case("a picture in Markdown", "![it](sandbox:/mnt/data/a.png)", "![it]({a.png})"),
    Case("a title after the link", '[it](sandbox:/mnt/data/a.csv "It")', '[it]({a.csv} "It")'),
    Case("two links", "sandbox:/mnt/data/a sandbox:/mnt/data/b", "{a} {b}"),
    Case("two links without a space", "sandbox:/mnt/data/a|sandbox:/mnt/data/b", "{a}|{b}"),
    Case("a folder", "(sandbox:/mnt/data/out/a.csv)", "({out/a.csv})"),
    Case("a name with brackets", "[it](sandbox:/mnt/data/a(1).csv)!", "[it]({a(1).csv})!"),
    Case("a percent-encoded name", "(sandbox:/mnt/data/a%20b%C3%A9.csv)", "({a bé.csv})"),
    Case("a name in another script", "(sandbox:/mnt/data/報告.csv)", "({報告.csv})"),
    Case("a bare mention at the end", "It is sandbox:/mnt/data/a.csv", "It is {a.csv}"),
    Case("the full stop after a bare mention", "It is sandbox:/mnt/data/a.csv. Yes.", "It is {a.csv}. Yes."),
    Case("the full stop at the very end", "It is sandbox:/mnt/data/a.csv.", "It is {a.csv}."),
    Case("a mention in bold", "**sandbox:/mnt/data/a.csv**", "**{a.csv}**"),
    Case("a mention as code", "`sandbox:/mnt/data/a.csv`", "`{a.csv}`"),
    Case("a mention in angle brackets", "<sandbox:/mnt/data/a.csv>", "<{a.csv}>"),
    Case("a Chinese full stop", "sandbox:/mnt/data/a.csv。好", "{a.csv}。好"),
    Case("the beginning of a beginning", "(sandbo(sandbox:/mnt/data/a", "(sandbo({a}"),
    Case("a mention within a word is none", "mysandbox:/mnt/data/a", "mysandbox:/mnt/data/a"),
    Case(
        "a mention behind one within a word", "mysandbox:/mnt/data/(sandbox:/mnt/data/a)", "mysandbox:/mnt/data/({a})"
    ),
    Case("the word behind a mention", "sandbox:/mnt/data/a words", "{a} words"),
    Case("no name", "sandbox:/mnt/data/ and sandbox:/mnt/data/.", "sandbox:/mnt/data/ and sandbox:/mnt/data/."),
    Case("a path elsewhere", "sandbox:/mnt/other/a.csv", "sandbox:/mnt/other/a.csv"),
    Case("a text that ends in the middle", "see sandbox:/mnt/da", "see sandbox:/mnt/da"),
    Case(
        "a mention before a citation",
        "sandbox:/mnt/data/a.csv\ue200cite\ue202x\ue201",
        "{a.csv}\ue200cite\ue202x\ue201",
    ),
    Case("the longest path", f"(sandbox:/mnt/data/{LONG})", f"({{{LONG}}})"),
    Case("a path that is too long", f"(sandbox:/mnt/data/a{LONG})", f"(sandbox:/mnt/data/a{LONG})"),
    Case(
        "a file behind one that is too long",
        f"sandbox:/mnt/data/a{LONG} sandbox:/mnt/data/b",
        f"sandbox:/mnt/data/a{LONG} {{b}}",
    ),
]


def linked(chunks: list[str]) -> str:
    links = SandboxLinks(lambda path: "{" + path.removeprefix("/mnt/data/") + "}")
    return "".join(map(links.feed, chunks)) + links.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_links(case: Case) -> None:
    assert linked([case.given]) == case.expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_text_may_be_split_anywhere(case: Case) -> None:
    assert linked(list(case.given)) == case.expected
    for at in range(len(case.given)):
        assert linked([case.given[:at], case.given[at:]]) == case.expected


PIECES = st.sampled_from(
    ["sandbox:", "/mnt/data/", "a.csv", "(", ")", " ", ".", "%20", "s", "san", "é", "\ue200", LONG]
)


@given(st.lists(PIECES, max_size=12).map("".join), st.data())
def test_chunking_never_matters(text: str, data: st.DataObject) -> None:
    assert linked(data.draw(pieces(text))) == linked([text])


@given(st.lists(PIECES, max_size=12).map("".join))
def test_text_is_conserved_where_there_is_no_link(text: str) -> None:
    links = SandboxLinks(lambda path: None)
    assert links.feed(text) + links.close() == text


def test_what_cannot_begin_a_mention_is_not_held_back() -> None:
    links = SandboxLinks(lambda path: "link")
    texts = ("a s", "o", " sandbox:/mnt/dato", "s", " s", "and", "y", "words", "s")
    assert [links.feed(text) for text in texts] == [
        "a ",
        "so",
        " sandbox:/mnt/dato",
        "s",
        " ",
        "",
        "sandy",
        "words",
        "s",
    ]


def test_a_file_is_known_by_where_it_is() -> None:
    file = sandbox_file("/mnt/data/out/a.csv", "conv", "m1", "acc")
    assert (file.name, file.path, file.conversation_id, file.message_id) == (
        "a.csv",
        "/mnt/data/out/a.csv",
        "conv",
        "m1",
    )
    assert file.account == "acc"
