"""HTML as a reader sees it: one row for each kind of element, and markup that is not what it should be."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.pages.html import readable


class Case(Struct, frozen=True):
    id: str
    html: str
    text: str


CASES = [
    Case("nothing", "", ""),
    Case("text alone", "just words", "just words"),
    Case("a title and a heading", "<title>The\n site</title><h1>Hi</h1><p>World</p>", "The site\n\n# Hi\n\nWorld"),
    Case("the first title counts", "<title>a</title><svg><title>b</title></svg><title>c</title>", "a\n\nc"),
    Case("levels of headings", "<h2>a</h2><h3 class=x>b</h3>", "## a\n\n### b"),
    Case("paragraphs", "<p>a<p>b</p>c", "a\n\nb\n\nc"),
    Case("lines", "a<br>b<br/>c<hr>d", "a\nb\nc\nd"),
    Case("a list", "<ul><li>a</li>\n <li><p>b</p></li></ul>", "- a\n\n- b"),
    Case("a table", "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a\tb\n\n1\t2"),
    Case("a link shows its text", 'see <a href="/x">the page</a>.', "see the page."),
    Case("white space is one blank", "a \n\t b&nbsp; <b> c</b>  d", "a b c d"),
    Case("but not in pre", "<pre>def f():\n    return  1\n</pre>after", "def f():\n    return  1\n\nafter"),
    Case("inline elements do not part words", "a<b>b</b><i>c</i>", "abc"),
    Case("blocks do", "<div>a</div><div>b</div>", "a\n\nb"),
    Case("characters by name and number", "&lt;b&gt; &amp; &eacute; &#65; &#x42; &no;", "<b> & \u00e9 A B &no;"),
    Case("a number of thousands of digits", f"a &#{'9' * 5000}; b", "a \ufffd; b"),
    Case("comments", "a<!-- <p>no</p> -->b<!---->c<!-->d", "abcd"),
    Case("a doctype and an instruction", "<!DOCTYPE html><?xml version='1.0'?>a", "a"),
    Case("scripts and styles", "a<script>if (1 < 2) '<p>'</script><style>p > a {}</style>b", "ab"),
    Case("a script in capitals", "a<SCRIPT type='x'>no</SCRIPT >b", "ab"),
    Case("menus and footers", "<nav><ul><li>Home</ul></nav><main>a</main><footer>c</footer><aside>ad</aside>", "a"),
    Case("nested noise", "<nav>a<nav>b</nav>c</nav>d", "d"),
    Case("noise in noise", "<nav>a<footer>b</nav>c</footer>d", "cd"),
    Case("a closing tag alone", "</nav>a</p>b", "a\n\nb"),
    Case("a quoted end of a tag", "<p title='a > b' data-x=\"c > d\">text</p>", "text"),
    Case("less-than signs", "1 < 2 and a<3 <", "1 < 2 and a<3 <"),
    Case("a comment that never ends", "a<!-- b", "a"),
    Case("a declaration that never ends", "a<!doctype b", "a"),
    Case("a tag that never ends", "a<p b", "a"),
    Case("a quote that never ends", "a<p b='> c", "a"),
    Case("a script that never ends", "a<script>b", "a"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_a_reader_sees(case: Case) -> None:
    assert readable(case.html) == case.text


PIECES = (
    "<p> </p> <li> <nav> </nav> <!-- --> <pre> </pre> <script> </script> <title> </title> <td> </td> <h1>"
    " < > ' \" &# &amp; a"
)
MARKUP = st.lists(st.sampled_from([*PIECES.split(), " ", "\n"])).map("".join)


@given(MARKUP | st.text(max_size=80))
def test_garbage_gives_text(html: str) -> None:
    text = readable(html)
    assert "\n\n\n" not in text
    assert not text.endswith("\n")


@given(st.text(st.characters(exclude_characters="<&", exclude_categories=["Cs"]), max_size=60))
def test_the_words_of_a_page_are_kept(text: str) -> None:
    assert readable(f"<div><b>{text}</b></div>").split() == text.split()


SLOW = ["<!--", "<a", "<a '", '<a "x', "<!x", "<script", "<script>", "<p>", "<nav>", "&#", "&", "</", "<a b='c' ", "<"]


@pytest.mark.parametrize("piece", SLOW)
def test_time_is_linear_whatever_is_repeated(piece: str) -> None:
    """The standard library's parser takes minutes for some of these."""
    begin = time.process_time()
    readable(piece * 100_000)
    assert time.process_time() - begin < 2
