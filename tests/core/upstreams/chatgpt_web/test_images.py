"""Pictures: in the stream, after it, refused, cut off, previewed; and nothing of them is left in the account."""

import asyncio
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.accounts import Account, Secret
from core.chatgpt.session import Session
from core.errors import Forbidden, UpstreamError
from core.events import Event, Finish, ImageDelta, ImageEnd, Start, TextEnd
from core.grammar import Checker, check
from core.loopback.pictures import png
from core.media import image_size, sniff
from core.request import Hints, Image, ImageOptions, Message, StoredFile, Text, Turn
from core.upstreams.chatgpt_web import ChatGPTWeb
from core.upstreams.chatgpt_web.images import Pictures
from core.wire.chatgpt_web.stream import TurnDecoder
from tests.core.upstreams.chatgpt_web.worlds import (
    ANONYMOUS,
    OWNER,
    POOL,
    RESUME,
    TURN,
    Fake,
    Loopback,
    Said,
    directive,
    stream,
    told,
)
from tests.core.wire.chatgpt_web.pictures import call, notice, picture
from tests.core.wire.chatgpt_web.streams import COMPLETE, DONE, OPENING, add, append, message, text_of, typed, whole
from tests.core.wire.chatgpt_web.test_laws import STREAMS
from tests.core.wire.chatgpt_web.test_stream import QUESTION, tree
from tests.strategies import MANY

pytestmark = pytest.mark.anyio

DRAWS = Hints(image_generation=True)
REQUIRED = ImageOptions(required=True)
PNG = b"\x89PNG\r\n\x1a\n and so on"
CONVERSATION = "/conversation/conv"
ATTACHMENT = f"{CONVERSATION}/attachment/file_a/download"
STORAGE = "/estuary/content"
LOCATED = told({"download_url": f"loopback://chatgpt/backend-api{STORAGE}"})
FETCHED = Said(PNG, headers={"content-type": "application/octet-stream"})
SHOWN = stream(OPENING, add(call()), add(picture("sediment://file_a"), 1), COMPLETE, DONE)
SHOWN_LATER = picture("sediment://file_a")
CAPTURE = Path(__file__).parents[3] / "captures" / "chatgpt-web" / "delta_v1_image_edit_handoff.sse"


def pictures(events: list[Event]) -> list[ImageEnd]:
    check(events)
    return [event for event in events if isinstance(event, ImageEnd)]


async def left_behind(world: Loopback) -> int:
    """Return how many conversations the accounts list, and see that one was made that is not temporary."""
    sent = (await world.calls("/f/conversation"))[-1]["body"]
    assert sent["history_and_training_disabled"] is False
    listed = await world.web.get("/backend-api/conversations", headers={"authorization": "Bearer loopback-a"})
    total: int = listed.json()["total"]
    return total


# How a picture comes.


class Way(Struct, frozen=True):
    id: str
    switches: dict[str, object]
    pauses: int = 0
    pictures: int = 1


WAYS = [
    Way("in the stream", {}),
    Way("two of them", {"count": 2}, pictures=2),
    Way("after previews that nobody wants", {"previews": 2}),
    Way("by polling", {"form": "poll"}, pauses=2),
    Way("at the 45th look", {"form": "poll", "polls": 45}, pauses=45),
    Way("by a resume", {"form": "handoff"}),
    Way("after a download that was cut off", {"cut_downloads": 1}),
    Way("by polling, after a download that was cut off", {"form": "poll", "cut_downloads": 1}, pauses=2),
]


@pytest.mark.parametrize("encoding", ["delta", "snapshot"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
async def test_a_picture_comes(way: Way, encoding: str) -> None:
    world = Loopback()
    events = await world.ask(directive(image=way.switches, encoding=encoding), hints=DRAWS, image=REQUIRED)
    shown = pictures(events)
    assert [(end.media_type, image_size(end.data)) for end in shown] == [("image/png", (64, 64))] * way.pictures
    assert len({end.data for end in shown}) == way.pictures
    assert all(end.revised_prompt and end.revised_prompt.startswith("A colour pattern") for end in shown)
    assert (len(world.pauses.taken), await left_behind(world)) == (way.pauses, 0)
    await world.close()


async def test_looks_begin_after_two_seconds_and_come_every_five_in_the_end() -> None:
    world = Loopback()
    await world.ask(directive(image={"form": "poll", "polls": 45}), hints=DRAWS)
    assert (world.pauses.taken[0], world.pauses.taken[-1]) == (2.0, 5.0)
    assert world.pauses.taken == sorted(world.pauses.taken)
    await world.close()


async def test_a_picture_is_asked_for_in_the_turn_and_in_its_message() -> None:
    world = Loopback()
    options = ImageOptions(size="1024x1536", quality="high", output_compression=80)
    events = await world.ask("A cat", hints=DRAWS, image=options, extras={})
    sent = (await world.calls("/f/conversation"))[-1]["body"]
    assert sent["system_hints"] == sent["messages"][-1]["metadata"]["system_hints"] == ["picture_v2"]
    assert sent["messages"][-1]["content"]["parts"] == ["A cat\n\nSize: 1024x1536 (portrait)."]
    assert isinstance(events[0], Start)
    assert events[0].ignored == ("quality", "output_compression")
    await world.close()


async def test_an_edit_sends_its_sources_and_then_its_mask() -> None:
    world = Loopback()
    sources = [Image(url=f"data:image/png;base64,{b64encode(png(name)).decode()}") for name in ("one", "two", "mask")]
    options = ImageOptions(mask=sources.pop(), required=True)
    events = await world.ask(Message("user", (*sources, Text("Make it blue"))), hints=DRAWS, image=options)
    content = (await world.calls("/f/conversation"))[-1]["body"]["messages"][-1]["content"]
    *shown, text = content["parts"]
    sizes = [part["size_bytes"] for part in shown]
    assert sizes == [len(png(name)) for name in ("one", "two", "mask")]
    assert text.startswith("Make it blue\n\nThe last of these images is a mask")
    (end,) = pictures(events)
    assert end.file is not None
    assert end.file.id not in {part["asset_pointer"].partition("://")[2] for part in shown}
    await world.close()


async def test_the_recorded_edit_is_polled_to_its_end() -> None:
    conversation = "/conversation/69eb5a4b-282c-83ea-b4f6-91ba9510bc9f"
    ended = tree(QUESTION, call(), notice("d05cfa78-a8cc-4476-9c00-ef537588d275"), picture("sediment://file_a"))
    world = Fake(
        {
            TURN: Said(CAPTURE.read_bytes(), headers={"content-type": "text/event-stream"}),
            RESUME: Said(status=404),
            conversation: [told({}, 404), Said(tree(QUESTION, call(), notice())), Said(ended)],
            f"{conversation}/attachment/file_a/download": LOCATED,
            STORAGE: FETCHED,
        }
    )
    (end,) = pictures(await world.ask("Change the text", hints=DRAWS, image=REQUIRED))
    assert (end.data, end.media_type) == (PNG, "image/png")
    assert world.asked(RESUME)[0].headers["x-conduit-token"] == "REDACTED_JWT"
    assert world.pauses.taken == pytest.approx([2.0, 2.4, 2.88])
    removed = world.asked(conversation)[-1]
    assert (removed.method, removed.json) == ("PATCH", {"is_visible": False})


async def test_a_picture_that_the_model_makes_by_itself_is_not_lost() -> None:
    world = Loopback()
    events = await world.ask(directive(text="Here it is.", tool_message="image"))
    assert text_of(events) == "Here it is."
    assert len(pictures(events)) == 1
    assert isinstance(events[-1], Finish)
    assert (await world.calls("/f/conversation"))[-1]["body"]["history_and_training_disabled"] is True
    assert [call for call in await world.calls() if call["method"] == "PATCH"] == []
    await world.close()


async def test_a_link_is_asked_for_and_nothing_is_fetched() -> None:
    world = Loopback()
    (end,) = pictures(await world.ask("A cat", hints=DRAWS, image=ImageOptions(delivery="link")))
    assert (end.data, end.media_type) == (b"", "application/octet-stream")
    assert end.file is not None
    assert end.file.account == world.settings.accounts[0].digest
    assert end.file.size
    assert await world.calls("/estuary/content") == []
    await world.close()


@pytest.mark.parametrize(("wanted", "given"), [(0, 0), (1, 1), (3, 2)])
async def test_previews_come_first_if_they_are_wanted(wanted: int, given: int) -> None:
    world = Loopback()
    script = directive(image={"previews": 2}, text="Here it is.")
    events = await world.ask(script, hints=DRAWS, image=ImageOptions(previews=wanted))
    (end,) = pictures(events)
    previews = [event.data for event in events if isinstance(event, ImageDelta)]
    assert [image_size(data) for data in previews] == [(16, 16)] * given
    assert image_size(end.data) == (64, 64)
    assert text_of(events) == "Here it is."
    await world.close()


async def test_previews_come_while_the_picture_is_waited_for() -> None:
    waiting = stream(OPENING, add(call()), add(notice(), 1), DONE)
    draft = picture("sediment://file_a", identity="p0", status="in_progress")
    stored = [Said(tree(QUESTION, call(), draft)), Said(tree(QUESTION, call(), picture("sediment://file_b")))]
    located = {f"{CONVERSATION}/attachment/file_{name}/download": LOCATED for name in "ab"}
    world = Fake({TURN: waiting, RESUME: Said(status=404), CONVERSATION: stored, **located, STORAGE: FETCHED})
    batches = world.upstream.stream(
        world.exchange("A cat", hints=DRAWS, image=ImageOptions(previews=3, required=True)), world.transport
    )
    kinds = [[type(event).__name__ for event in batch] async for batch in batches]
    assert kinds == [["Start", "ImageStart", "ImageDelta"], ["ImageEnd"], ["Finish"]]
    assert len(world.pauses.taken) == 2


async def test_a_preview_that_cannot_be_had_is_left_out() -> None:
    drafted = stream(
        OPENING,
        add(picture("sediment://file_draft", identity="p0", status="in_progress")),
        add(picture("sediment://file_a"), 1),
        DONE,
    )
    world = Fake({TURN: drafted, ATTACHMENT: LOCATED, STORAGE: FETCHED})
    events = await world.ask("A cat", hints=DRAWS, image=ImageOptions(previews=2))
    assert [type(event).__name__ for event in events] == ["Start", "ImageStart", "ImageEnd", "Finish"]
    assert len(world.asked(f"{CONVERSATION}/attachment/file_draft/download")) == 1


async def test_a_preview_without_its_picture_is_an_error() -> None:
    drafts = stream(OPENING, add(picture("sediment://file_a", status="in_progress")), add(whole("No."), 1), DONE)
    world = Fake({TURN: drafts, ATTACHMENT: LOCATED, STORAGE: FETCHED})
    events, error = await world.refused("A cat", hints=DRAWS, image=ImageOptions(previews=1))
    Checker().feed(events)
    assert isinstance(events[-1], ImageDelta)
    assert (error.status, error.code) == (502, "image_generation_error")


async def test_a_lost_connection_does_not_lose_the_picture() -> None:
    lost = stream(OPENING, typed("resume_conversation_token", token="t", conversation_id="conv"), add(call()), cut=True)
    stored = [Said(tree(QUESTION, call())), Said(tree(QUESTION, call(), picture("sediment://file_a")))]
    world = Fake({TURN: lost, RESUME: Said(status=404), CONVERSATION: stored, ATTACHMENT: LOCATED, STORAGE: FETCHED})
    assert len(pictures(await world.ask("A cat", hints=DRAWS))) == 1
    assert len(world.pauses.taken) == 2


async def test_a_picture_that_was_begun_without_a_word_is_looked_for() -> None:
    stored = [Said(tree(QUESTION, call())), Said(tree(QUESTION, call(), notice())), Said(tree(QUESTION, SHOWN_LATER))]
    world = Fake(
        {
            TURN: stream(OPENING, add(call()), COMPLETE, DONE),
            RESUME: Said(status=404),
            CONVERSATION: stored,
            ATTACHMENT: LOCATED,
            STORAGE: FETCHED,
        }
    )
    assert len(pictures(await world.ask("A cat", hints=DRAWS))) == 1


async def test_a_turn_that_ends_without_a_word_is_not_looked_for_for_ever() -> None:
    silent = stream(OPENING, add(call()), COMPLETE, DONE)
    world = Fake({TURN: silent, RESUME: Said(status=404), CONVERSATION: Said(tree(QUESTION, call()))})
    _, error = await world.refused("A cat", hints=DRAWS, image=REQUIRED)
    assert (error.status, len(world.pauses.taken)) == (503, 20)


async def test_in_a_temporary_chat_a_picture_made_later_is_looked_for_at_once_or_never() -> None:
    waiting = stream(OPENING, add(call()), add(notice(), 1), DONE)
    world = Fake({TURN: waiting, RESUME: Said(status=404), CONVERSATION: told({}, 404)})
    _, error = await world.refused("A cat")
    assert (error.status, len(world.pauses.taken)) == (503, 5)


@pytest.mark.parametrize("answer", [Said(status=502), told({"detail": "Too many requests"}, 429), Said(b"", cut=True)])
async def test_a_look_that_fails_is_taken_again(answer: Said) -> None:
    waiting = stream(OPENING, add(call()), add(notice(), 1), DONE)
    ended = Said(tree(QUESTION, picture("sediment://file_a")))
    stored = [answer, answer, ended]
    world = Fake({TURN: waiting, RESUME: Said(status=404), CONVERSATION: stored, ATTACHMENT: LOCATED, STORAGE: FETCHED})
    assert len(pictures(await world.ask("A cat", hints=DRAWS))) == 1


async def test_a_conversation_that_is_nowhere_is_not_looked_for_for_ever() -> None:
    waiting = stream(OPENING, add(call()), add(notice(), 1), DONE)
    world = Fake({TURN: waiting, RESUME: Said(status=404), CONVERSATION: told({}, 404)})
    events, error = await world.refused("A cat", hints=DRAWS)
    assert (events, error.status) == ([], 503)
    assert error.message == "the upstream did not finish the picture while it was waited for"
    assert len(world.pauses.taken) == 5


# No picture.


class Refusal(Struct, frozen=True):
    id: str
    script: dict[str, object]
    code: str
    message: str


REFUSALS = [
    Refusal("in words", {"image": {"refuse": "I cannot draw that."}}, "image_generation_error", "I cannot draw that."),
    Refusal(
        "for a policy",
        {"image": {"refuse": "That is against our content policy."}},
        "content_policy_violation",
        "That is against our content policy.",
    ),
    Refusal(
        "by the account's tasks",
        {"image": {"form": "poll", "fail": "It violates our guidelines."}},
        "content_policy_violation",
        "It violates our guidelines.",
    ),
    Refusal(
        "by moderation",
        {"image": {"refuse": "Well, so here"}, "moderation_after_chars": 4},
        "content_policy_violation",
        "Well",
    ),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.id)
async def test_a_required_picture_that_is_refused_is_an_error_in_the_upstreams_words(refusal: Refusal) -> None:
    world = Loopback()
    events, error = await world.refused(directive(**refusal.script), hints=DRAWS, image=REQUIRED)
    assert events == []
    assert (error.status, error.code, error.message) == (400, refusal.code, refusal.message)
    assert await left_behind(world) == 0
    await world.close()


@pytest.mark.parametrize("script", [{"refuse": "I cannot."}, {"form": "poll", "fail": "I cannot."}])
async def test_in_a_chat_a_refusal_is_the_answer(script: dict[str, object]) -> None:
    world = Loopback()
    events = await world.ask(directive(image=script), hints=DRAWS, image=ImageOptions())
    check(events)
    assert text_of(events) == "I cannot."
    assert isinstance(events[-2], TextEnd)
    assert await left_behind(world) == 0
    await world.close()


FAILURES: list[tuple[str, dict[str, object], int]] = [
    ("a task that fails without a word", {"image": {"form": "poll", "fail": ""}}, 502),
    ("a download that is cut off again and again", {"image": {"cut_downloads": 9}}, 503),
    ("an error in the stream", {"image": {"refuse": "I am"}, "error_after_chars": 2}, 403),
]


@pytest.mark.parametrize(("script", "status"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES])
async def test_a_failure_leaves_nothing_behind(script: dict[str, object], status: int) -> None:
    world = Loopback()
    _, error = await world.refused(directive(**script), hints=DRAWS, image=REQUIRED)
    assert error.status == status
    assert await left_behind(world) == 0
    await world.close()


@pytest.mark.parametrize("code", ["content_policy_violation", "content_policy_error"])
async def test_an_error_of_policy_in_the_stream_is_a_refusal(code: str) -> None:
    refused = stream(OPENING, add(call()), typed("error", error={"message": "We will not.", "code": code}))
    _, error = await Fake({TURN: refused}).refused("A cat", hints=DRAWS)
    assert (error.status, error.code, error.message) == (400, "content_policy_violation", "We will not.")


@pytest.mark.parametrize("options", [None, REQUIRED])
async def test_a_picture_that_was_blocked_is_not_shown(options: ImageOptions | None) -> None:
    verdict = typed("moderation", moderation_response={"blocked": True}, conversation_id="conv")
    world = Fake({TURN: stream(OPENING, add(picture("sediment://file_a")), verdict)})
    if options is None:
        events = await world.ask("A cat", hints=DRAWS)
        assert [type(event) for event in events] == [Start, Finish]
    else:
        _, error = await world.refused("A cat", hints=DRAWS, image=options)
        assert (error.status, error.code) == (400, "content_policy_violation")
    assert world.asked(ATTACHMENT) == []


async def test_a_picture_that_the_upstream_lost_is_its_fault() -> None:
    _, error = await Fake({TURN: SHOWN}).refused("A cat", hints=DRAWS)
    assert (error.status, error.message) == (502, "the upstream lost the picture it made")


async def test_an_empty_picture_is_none() -> None:
    world = Fake({TURN: SHOWN, ATTACHMENT: LOCATED, STORAGE: Said(b"")})
    _, error = await world.refused("A cat", hints=DRAWS)
    assert error.status == 502
    assert len(world.asked(STORAGE)) == 2


async def test_a_picture_that_is_too_large_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.upstreams.chatgpt_web.images.LIMIT_BYTES", len(PNG) - 1)
    world = Fake({TURN: SHOWN, ATTACHMENT: LOCATED, STORAGE: FETCHED})
    _, error = await world.refused("A cat", hints=DRAWS)
    assert (error.status, error.message) == (502, f"the upstream's picture is larger than {len(PNG) - 1} bytes")
    assert len(world.asked(STORAGE)) == 1


async def test_bytes_that_show_no_type_have_the_one_they_came_with() -> None:
    world = Fake(
        {TURN: SHOWN, ATTACHMENT: LOCATED, STORAGE: Said(b"<svg/>", headers={"content-type": "image/svg+xml"})}
    )
    assert sniff(b"<svg/>") is None
    (end,) = pictures(await world.ask("A cat", hints=DRAWS))
    assert (end.data, end.media_type) == (b"<svg/>", "image/svg+xml")


WANTED = [None, REQUIRED, ImageOptions(previews=2), ImageOptions(previews=3, required=True)]


DRAWN = st.lists(
    st.sampled_from(
        [
            add(call()),
            add(notice()),
            add(message("One")),
            append(" two"),
            add(whole("Three", "m2")),
            add(message("Why", "m3", channel="analysis")),
            *(add(picture(f"sediment://file_{name}", identity=name)) for name in "ab"),
            *(add(picture(f"sediment://file_{name}", identity=f"{name}0", status="in_progress")) for name in "ab"),
        ]
    ),
    max_size=8,
).map(lambda blocks: [OPENING, *blocks, COMPLETE, DONE])


@given(DRAWN | STREAMS.map(lambda streamed: [streamed]), st.sampled_from(WANTED))
@MANY
def test_whatever_is_streamed_the_events_are_a_sentence_or_the_beginning_of_one(
    blocks: list[bytes], options: ImageOptions | None
) -> None:
    async def told() -> tuple[list[Event], UpstreamError | None]:
        located = {f"{CONVERSATION}/attachment/file_{name}/download": LOCATED for name in "abc"}
        world = Fake({**located, STORAGE: FETCHED})
        session = Session(world.transport, "loopback://chatgpt", Account(Secret("loopback-a")), "device", None)
        decoder = TurnDecoder()
        shown = Pictures(session, decoder, options)
        events: list[Event] = []
        try:
            for block in blocks:
                events += await shown.among(decoder.feed(block))
            events += await shown.among(decoder.end_of_stream())
            async for batch in shown.finished():
                events += batch
            return events + decoder.close(), None
        except UpstreamError as error:
            return events, error
        finally:
            await world.close()

    events, error = asyncio.run(told())
    (check if error is None else Checker().feed)(events)


# What stays in the account.


async def test_an_anonymous_device_gets_no_picture() -> None:
    world = Loopback()
    with pytest.raises(Forbidden, match="Image generation requires a logged-in ChatGPT account"):
        await world.ask("A cat", hints=DRAWS, principal=ANONYMOUS)
    assert await world.calls() == []
    await world.close()


async def test_a_caller_with_an_account_of_their_own_gets_one() -> None:
    world = Loopback()
    assert len(pictures(await world.ask("A cat", hints=DRAWS, principal=OWNER))) == 1
    await world.close()


class Kept(Struct, frozen=True):
    id: str
    setting: str
    store: bool | None
    left: int


KEPT = [
    Kept("by default nothing stays", "", None, 0),
    Kept("a request may keep its turn", "", True, 1),
    Kept("a deployment may keep all", "true", False, 1),
    Kept("a deployment may keep none", "false", True, 0),
]


@pytest.mark.parametrize("case", KEPT, ids=lambda case: case.id)
async def test_what_stays_of_a_picture(case: Kept) -> None:
    world = Loopback(ENABLE_HISTORY=case.setting)
    finish = (await world.ask("A cat", hints=DRAWS, store=case.store))[-1]
    assert isinstance(finish, Finish)
    assert finish.turn is not None
    assert (await left_behind(world), finish.turn.kept) == (case.left, bool(case.left))
    await world.close()


async def test_a_conversation_that_was_there_before_is_not_removed() -> None:
    world = Loopback()
    first = (await world.ask("Hi", store=True))[-1]
    assert isinstance(first, Finish)
    events = await world.ask("A cat", hints=DRAWS, continues=first.turn)
    assert len(pictures(events)) == 1
    assert await left_behind(world) == 1
    await world.close()


async def test_a_temporary_conversation_stays_one() -> None:
    world = Fake({TURN: SHOWN, ATTACHMENT: LOCATED, STORAGE: FETCHED})
    await world.ask("A cat", hints=DRAWS, continues=Turn("conv", "m1"))
    assert world.asked(TURN)[0].json["history_and_training_disabled"] is True
    assert world.asked(CONVERSATION) == []


async def test_a_kept_picture_is_recalled() -> None:
    world = Loopback()
    events = await world.ask("A cat", hints=DRAWS, store=True)
    finish = events[-1]
    assert isinstance(finish, Finish)
    assert finish.turn is not None
    (end,) = pictures(events)
    (recalled,) = (await world.upstream.recall(finish.turn, POOL, world.transport)).response.parts
    assert (getattr(recalled, "data", None), getattr(recalled, "file", None)) == (end.data, end.file)
    assert isinstance(end.file, StoredFile)
    await world.close()


async def test_whoever_leaves_while_the_picture_is_waited_for_leaves_nothing_behind() -> None:
    waiting = asyncio.Event()

    async def pause(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    world = Loopback()
    upstream = ChatGPTWeb(world.settings, world.pool, pause)
    exchange = world.exchange(directive(image={"form": "poll"}), hints=DRAWS)

    async def read() -> None:
        async for _ in upstream.stream(exchange, world.transport):
            pass

    task = asyncio.create_task(read())
    await waiting.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert await left_behind(world) == 0
    await world.close()


async def test_whoever_stops_reading_at_the_picture_leaves_nothing_behind() -> None:
    world = Loopback()
    batches = world.upstream.stream(world.exchange("A cat", hints=DRAWS), world.transport)
    async for batch in batches:
        assert any(isinstance(event, ImageEnd) for event in batch)
        break
    await batches.aclose()
    assert await left_behind(world) == 0
    await world.close()


async def test_the_conversation_is_gone_before_the_answer_ends() -> None:
    world = Loopback()
    batches = world.upstream.stream(world.exchange("A cat", hints=DRAWS), world.transport)
    left = [await left_behind(world) async for batch in batches if isinstance(batch[-1], Finish)]
    assert left == [0]
    await world.close()


async def test_a_conversation_that_cannot_be_removed_does_not_spoil_the_picture() -> None:
    world = Fake({TURN: SHOWN, ATTACHMENT: LOCATED, STORAGE: FETCHED, CONVERSATION: told({}, 500)})
    assert len(pictures(await world.ask("A cat", hints=DRAWS))) == 1
    assert world.asked(CONVERSATION)[-1].method == "PATCH"


async def test_another_account_draws_when_one_may_not() -> None:
    world = Loopback("loopback-a,loopback-b")
    (first, _) = world.pool.candidates("", None)
    await world.rule(path="/f/conversation", status=429, times=1, body={"detail": "Too many requests"})
    assert len(pictures(await world.ask("A cat", hints=DRAWS, image=REQUIRED))) == 1
    assert len(await world.calls("/f/conversation")) == 2
    assert first is not None
    await world.close()


async def test_a_text_that_is_only_said_is_held_back_until_there_is_a_picture() -> None:
    world = Fake({TURN: stream(OPENING, add(message("I will. ")), DONE)})
    events, error = await world.refused("A cat", hints=DRAWS, image=REQUIRED)
    assert isinstance(error, UpstreamError)
    assert (events, error.message) == ([], "I will.")
