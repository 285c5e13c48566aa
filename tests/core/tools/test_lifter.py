"""The laws of the lifter, over the table of answers and over answers made of fragments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import (
    Citation,
    Event,
    Finish,
    ImageDelta,
    ImageEnd,
    ImageStart,
    Progress,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
    ToolCallDelta,
    ToolCallStart,
)
from core.tools.lifter import Lifter
from core.tools.protocol import Plan
from tests.core.tools.lifting import (
    EXCHANGE_ID,
    TAG,
    TOOLS,
    Asks,
    Breaks,
    Calls,
    Case,
    check_arguments,
    chunkings,
    run,
    text_in,
    text_out,
)
from tests.core.tools.table import TABLE, F, own, tagged, xml
from tests.strategies import MANY, pieces

FEWEST_ROWS = 120


def test_the_table_is_as_long_as_was_promised_and_names_no_row_twice() -> None:
    ids = [case.id for case in TABLE]
    assert len(ids) >= FEWEST_ROWS
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.id)
def test_an_answer_means_the_same_however_it_is_cut(case: Case, streamed: bool) -> None:
    for blocks in chunkings(case):
        told = run(case, blocks, streamed)
        assert told == case.outcome(streamed), blocks
        check_arguments(told)


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.id)
def test_without_a_call_text_out_is_text_in(case: Case, streamed: bool) -> None:
    told = case.outcome(streamed)
    if not any(isinstance(each, Calls | Asks | Breaks) for each in told):
        assert text_out(told) == text_in(case.blocks)


FRAGMENTS = (
    *(
        "hello ",
        "<",
        "call_",
        f"<{TAG}",
        ' name="f">',
        f'<{TAG} name="f">',
        f'<{TAG} name="note">\n',
        f"</{TAG}>",
        "</call>",
    ),
    *(
        '{"a":1}',
        '{"a": "x\\n"}',
        '{"a":[1,2,{"b":null}],"c":"\\ud83d\\ude00"}',
        "{",
        "}",
        '"',
        "tru",
        "1.5e",
        "-",
        ",",
        "\\u12",
    ),
    *(own("f", F), own("note", "\nraw <x>\n"), own("nope", "{}"), own("g", "")),
    *(
        tagged('{"name":"f","arguments":{"a":2}}'),
        tagged('{"cmd":["ls"]}'),
        "<tool_call>",
        "<tool_call>{",
        "</tool_call>",
    ),
    *(xml("f", F), "<Function_chat2api_Start/>\n", "<function_calls>", "</function_calls>", "<function_call>"),
    *("```", "```\n", "~~~\n", "`", "\n", " ", "  \n", "C:\\path", "\u6f22\U0001f600", "I can't access your files. "),
)
ANSWERS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), max_size=10).map("".join)


@MANY
@given(
    data=st.data(),
    streamed=st.booleans(),
    last_chance=st.booleans(),
    forced=st.booleans(),
    parallel=st.booleans(),
    retries=st.integers(0, 1),
)
def test_an_answer_of_fragments_means_the_same_however_it_is_cut(
    data: st.DataObject, streamed: bool, last_chance: bool, forced: bool, parallel: bool, retries: int
) -> None:
    case = Case(
        "made",
        data.draw(ANSWERS),
        (),
        forced=forced,
        parallel=parallel,
        refusal_retries=retries,
        last_chance=last_chance,
        finish=data.draw(st.sampled_from(("stop", "length"))),
    )
    text = text_in(case.blocks)
    told = run(case, [[text]], streamed)
    assert run(case, [list(text)], streamed) == told
    assert run(case, [data.draw(pieces(text))], streamed) == told
    check_arguments(told)
    if not any(isinstance(each, Calls | Asks | Breaks) for each in told):
        assert text_out(told) == text


@MANY
@given(answer=ANSWERS, parallel=st.booleans())
def test_a_stream_and_a_whole_answer_tell_the_same_unless_the_stream_had_to_break_or_to_keep_its_word(
    answer: str, parallel: bool
) -> None:
    case = Case("made", answer, (), parallel=parallel)
    streamed, whole = run(case, [[answer]], True), run(case, [[answer]], False)
    if not any(isinstance(each, Breaks | Asks) for each in (*streamed, *whole)):
        assert streamed == whole


def lifter_for(streamed: bool = True) -> Lifter:
    plan = Plan(TAG, {tool.name: tool for tool in TOOLS}, False, True, None, ())
    return Lifter(plan, EXCHANGE_ID, streamed, refusal_retries=3)


def test_argument_bytes_leave_while_the_model_still_writes() -> None:
    lifter = lifter_for()
    lifter.feed([Start(), TextStart(0)])
    began = lifter.feed([TextDelta(0, f'<{TAG} name="g">{{"q": "ab')])
    more = lifter.feed([TextDelta(0, "cd")])
    assert [type(event) for event in began] == [Start, ToolCallStart, ToolCallDelta]
    assert more == [ToolCallDelta(0, "cd")]


def test_nothing_is_committed_while_only_the_upstream_has_begun() -> None:
    assert lifter_for().feed([Start("gpt-test"), TextStart(0), TextDelta(0, "\n")]) == []


def test_images_progress_and_citations_pass() -> None:
    cited = Citation("https://example.com", "Example", 0, 3)
    events: list[Event] = [
        *(Start(), TextStart(0), TextDelta(0, "See."), TextEnd(0, (cited,)), Progress("drawing")),
        *(ImageStart(1), ImageDelta(1, b"coarse"), ImageEnd(1, "image/png", b"fine"), Finish("stop")),
    ]
    for streamed in (True, False):
        lifter = lifter_for(streamed)
        assert [*lifter.feed(events), *lifter.close()] == events


def test_a_block_behind_a_call_has_the_next_index() -> None:
    lifter = lifter_for()
    lifter.feed([Start(), TextStart(0), TextDelta(0, "One. " + own("f", F))])
    assert lifter.feed([TextEnd(0), ImageStart(1), ImageEnd(1, "image/png", b"fine")]) == [
        ImageStart(2),
        ImageEnd(2, "image/png", b"fine"),
    ]
