"""What a turn is asked to do besides answering: run code, research, search; and what becomes of its conversation."""

from typing import Any

import pytest
from msgspec import Struct, structs

from core.errors import Forbidden, RateLimited, UpstreamUnavailable
from core.events import Event, Finish, ImageEnd, Start
from core.grammar import check
from core.media import image_size
from core.request import Hints
from core.signing import Signer
from core.wire.chatgpt_web.code import CODE_WORDS
from core.wire.chatgpt_web.research import RESEARCH_HINT
from tests.core.upstreams.chatgpt_web.worlds import ANONYMOUS, TURN, Fake, Loopback, directive, stream, told
from tests.core.wire.chatgpt_web.computing import charted, research_call, widget
from tests.core.wire.chatgpt_web.streams import COMPLETE, DONE, OPENING, add, reasoning_of, text_of, whole

pytestmark = pytest.mark.anyio

COMPUTES, RESEARCHES = Hints(code_interpreter=True), Hints(deep_research=True)
SIGNER = Signer(b"k" * 32)


async def answer(world: Loopback, prompt: str, **fields: Any) -> list[Event]:
    """Return the events of a turn whose links can be signed; it leaves nothing in the account's list."""
    model = fields.pop("model", "auto")
    asked = world.exchange(prompt, **fields)
    target = structs.replace(asked.target, model=model)
    asked = structs.replace(asked, signer=SIGNER, public_url="https://gateway.example", target=target)
    events = [event async for batch in world.upstream.stream(asked, world.transport) for event in batch]
    check(events)
    return events


async def listed(world: Loopback) -> int:
    found = await world.web.get("/backend-api/conversations", headers={"authorization": "Bearer loopback-a"})
    total: int = found.json()["total"]
    return total


async def sent(world: Loopback) -> dict[str, Any]:
    """Return the body of the newest turn."""
    body: dict[str, Any] = (await world.calls(TURN))[-1]["body"]
    return body


# Code.


async def test_code_is_run_and_shown_with_what_it_made() -> None:
    world = Loopback()
    script = directive(text="Done.", tool_message="python", python={"file": "a b.csv", "chart": True})
    events = await answer(world, script, hints=COMPUTES)
    assert "6 * 7" in reasoning_of(events)
    text = text_of(events)
    assert text.startswith("Done. [a b.csv](https://gateway.example/v1/files/link_")
    (chart,) = [event for event in events if isinstance(event, ImageEnd)]
    assert (chart.media_type, image_size(chart.data)) == ("image/png", (32, 32))
    body = await sent(world)
    assert body["messages"][-1]["content"]["parts"][0].endswith(f"\n\n{CODE_WORDS}")
    assert (body["history_and_training_disabled"], body["system_hints"], await listed(world)) == (False, [], 0)
    await world.close()


class Stay(Struct, frozen=True):
    """`links` says whether files are linked to, `kept` how many conversations the account lists afterwards."""

    id: str
    fields: dict[str, Any]
    links: bool
    kept: int
    environ: dict[str, str] = {}


STAYS = [
    Stay("by itself the model runs code in a temporary chat, whose files nobody can have", {}, False, 0),
    Stay("code that was asked for leaves links and nothing else", {"hints": COMPUTES}, True, 0),
    Stay("a chat that is kept has its files", {"store": True}, True, 1),
    Stay("and so has one that is kept by a setting", {"hints": COMPUTES}, True, 1, {"ENABLE_HISTORY": "true"}),
    Stay("a setting against keeping holds", {"hints": COMPUTES, "store": True}, True, 0, {"ENABLE_HISTORY": "false"}),
]


@pytest.mark.parametrize("case", STAYS, ids=lambda case: case.id)
async def test_links_and_conversations(case: Stay) -> None:
    world = Loopback(**case.environ)
    script = directive(text="It is sandbox:/mnt/data/a.csv.", tool_message="python", python={"file": "a.csv"})
    text = text_of(await answer(world, script, **case.fields))
    assert ("/v1/files/link_" in text, text == "It is sandbox:/mnt/data/a.csv.") == (case.links, not case.links)
    assert await listed(world) == case.kept
    await world.close()


async def test_an_answer_survives_a_chart_that_is_lost() -> None:
    world = Loopback()
    script = directive(text="Done.", tool_message="python", python={"chart": True, "lost": True})
    events = await answer(world, script)
    assert (text_of(events), isinstance(events[-1], Finish)) == ("Done.", True)
    assert reasoning_of(events).endswith("(The code made a picture that could not be fetched.)")
    await world.close()


async def test_no_chart_of_a_blocked_answer_is_shown() -> None:
    world = Loopback()
    script = directive(text="Done.", tool_message="python", python={"chart": True}, moderation_after_chars=2)
    events = await answer(world, script)
    assert [event for event in events if isinstance(event, ImageEnd)] == []
    await world.close()


async def test_a_turn_of_code_and_a_chart_alone_is_an_answer() -> None:
    world = Fake({TURN: stream(OPENING, add(charted("file-service://file-a")), COMPLETE, DONE)})
    events = await world.ask("Draw a chart")
    check(events)
    assert reasoning_of(events) == "(The code made a picture that could not be fetched.)"
    await world.close()


# Research.


class Research(Struct, frozen=True):
    id: str
    switches: dict[str, object]
    pauses: int


RESEARCHED = [
    Research("a report in the metadata", {}, 2),
    Research("a report in a text", {"holder": "text"}, 2),
    Research("a report that takes its time", {"polls": 60}, 60),
]


@pytest.mark.parametrize("case", RESEARCHED, ids=lambda case: case.id)
async def test_the_report_is_the_answer(case: Research) -> None:
    world = Loopback()
    events = await answer(world, directive(text="# Report", research=case.switches), hints=RESEARCHES)
    assert (text_of(events), len(world.pauses.taken), await listed(world)) == ("# Report", case.pauses, 0)
    assert max(world.pauses.taken) <= 15
    body = await sent(world)
    assert body["system_hints"] == body["messages"][-1]["metadata"]["system_hints"] == [RESEARCH_HINT]
    assert body["history_and_training_disabled"] is False
    await world.close()


async def test_a_name_of_the_api_is_a_wish_for_research() -> None:
    world = Loopback()
    events = await answer(world, directive(text="# Report"), model="o4-mini-deep-research-2025-06-26")
    body = await sent(world)
    assert (text_of(events), body["model"], body["system_hints"]) == ("# Report", "auto", [RESEARCH_HINT])
    await world.close()


async def test_a_research_says_where_it_is_before_it_is_done() -> None:
    world = Loopback()
    asked = world.exchange(directive(text="# Report"), hints=RESEARCHES, store=True)
    batches = world.upstream.stream(asked, world.transport)
    (start,) = await anext(batches)
    assert isinstance(start, Start)
    assert start.turn is not None
    assert start.turn.kept
    await batches.aclose()
    assert await listed(world) == 1
    with pytest.raises(UpstreamUnavailable, match="did not finish its research"):
        await world.upstream.recall(start.turn, asked.principal, world.transport)
    await world.close()


async def test_a_kept_report_can_be_read_again_and_gone_on_from() -> None:
    world = Loopback()
    events = await answer(world, directive(text="# Report"), hints=RESEARCHES, store=True)
    (finish,) = [event for event in events if isinstance(event, Finish)]
    assert finish.turn is not None
    recalled = await world.upstream.recall(finish.turn, world.exchange("").principal, world.transport)
    assert [part.text for part in recalled.response.parts if hasattr(part, "text")] == ["# Report"]
    again = await answer(world, "Say more", continues=finish.turn)
    assert text_of(again) == "More"
    await world.close()


async def test_a_question_back_is_an_answer() -> None:
    world = Loopback()
    events = await answer(world, directive(text="Which one?", research={"begun": False}), hints=RESEARCHES)
    assert (text_of(events), world.pauses.taken) == ("Which one?", [])
    await world.close()


FAILURES = [("failed", UpstreamUnavailable), ("rate_limited", RateLimited)]


@pytest.mark.parametrize(("status", "kind"), FAILURES)
async def test_a_research_that_fails(status: str, kind: type[Exception]) -> None:
    world = Loopback()
    _, error = await world.refused(directive(research={"fail": status}), hints=RESEARCHES)
    assert isinstance(error, kind)
    assert await listed(world) == 0
    await world.close()


async def test_a_research_that_is_used_up_is_tried_with_the_next_account() -> None:
    limited = stream(OPENING, add(research_call()), add(widget({"status": "rate_limited"}), 1), COMPLETE, DONE)
    world = Fake(
        {TURN: [limited, stream(OPENING, add(whole("Which one?")), COMPLETE, DONE)], "/conversation/conv": told({})},
        tokens="loopback-a,loopback-b",
    )
    assert text_of(await world.ask("Go", hints=RESEARCHES)) == "Which one?"
    assert len({heard.headers["authorization"] for heard in world.asked(TURN)}) == 2
    await world.close()


# Who may.


@pytest.mark.parametrize(("hints", "feature"), [(COMPUTES, "Code interpreter"), (RESEARCHES, "Deep research")])
async def test_an_anonymous_device_must_log_in(hints: Hints, feature: str) -> None:
    world = Loopback()
    with pytest.raises(Forbidden, match=f"^{feature} requires a logged-in ChatGPT account"):
        await world.ask("Hi", principal=ANONYMOUS, hints=hints)
    await world.close()
