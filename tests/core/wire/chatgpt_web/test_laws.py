"""The laws of the turn decoder: chunking never matters, garbage is survived, time is linear, sentences are legal."""

import gc
import json
import time
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import UpstreamError
from core.events import Event
from core.grammar import Checker, check
from core.wire.chatgpt_web.answer import Sent
from core.wire.chatgpt_web.gallery import Gallery
from core.wire.chatgpt_web.stream import TurnDecoder, Verdict
from tests.core.wire.chatgpt_web.computing import REPORT, charted, code, output, widget
from tests.core.wire.chatgpt_web.pictures import notice, picture, pointer
from tests.core.wire.chatgpt_web.streams import (
    COMPLETE,
    DONE,
    OPENING,
    TEXT,
    add,
    append,
    block,
    content,
    delta,
    document,
    finish,
    message,
    outcome,
    role,
    snapshot,
    text_of,
    typed,
    whole,
)
from tests.core.wire.chatgpt_web.test_captures import NAMES, capture
from tests.strategies import JSON_VALUES, MANY, damaged, pieces

WORDS = st.sampled_from(
    ["", "a", "bc ", "é", "🚀", "\ue200", "\ue200cite\ue202turn0search0\ue201", "【7†source】", "\n"]
)
IDENTITIES = st.sampled_from(["m1", "m2", "m3"])
PATHS = st.sampled_from(
    [
        "",
        TEXT,
        "/message/content/parts/1",
        "/message/content/parts",
        "/message/content/parts/-",
        "/message/content/thoughts/0/content",
        "/message/content/thoughts/-",
        "/message/content/thoughts",
        "/message/content/content_type",
        "/message/content",
        "/message/metadata",
        "/message/metadata/content_references",
        "/message/metadata/finish_details",
        "/message/author",
        "/message/status",
        "/message/end_turn",
        "/message",
        "/error",
        "message",
        "/",
        "/message/~1~0/x",
    ]
)
OPERATIONS = st.sampled_from(["add", "replace", "append", "truncate", "remove", "patch", "strange"])
THOUGHTS = st.builds(lambda a, b: [{"summary": a, "content": b}], WORDS, WORDS)
MESSAGES = st.builds(
    lambda text, identity, changes: message(text, identity, **changes),
    WORDS,
    IDENTITIES,
    st.sampled_from(
        [
            {},
            {"channel": "final"},
            {"channel": "analysis"},
            {"recipient": "python"},
            {"recipient": "browser"},
            code("sandbox:/mnt/data/a"),
            output("4"),
            charted("file-service://file-d"),
            widget({"status": "running"}),
            widget({"status": "completed", "report_message": REPORT}),
            widget({"status": "failed"}),
            {"weight": 0},
            {"status": "finished_successfully", "end_turn": True},
            {"metadata": {"is_visually_hidden_from_conversation": True}},
            {"metadata": {"finish_details": {"type": "max_tokens"}}},
            role("tool"),
            role("user"),
            content("system_error", text="broken"),
            picture("sediment://file_a"),
            picture("sediment://file_b", status="in_progress"),
            notice(),
            {"metadata": {"image_gen_title": "T"}, **content("multimodal_text", parts=[pointer("sediment://file_c")])},
        ]
    ),
) | st.builds(
    lambda thoughts, identity: message(identity=identity, **content("thoughts", thoughts=thoughts)),
    THOUGHTS,
    IDENTITIES,
)
VALUES = WORDS | st.integers(-1, 3) | st.booleans() | THOUGHTS | st.lists(WORDS, max_size=2) | JSON_VALUES
DELTAS = st.builds(
    lambda value, fields: delta(value, **fields),
    VALUES | MESSAGES.map(document) | st.lists(st.fixed_dictionaries({"p": PATHS, "o": OPERATIONS, "v": VALUES})),
    st.fixed_dictionaries({}, optional={"p": PATHS, "o": OPERATIONS, "c": st.integers(0, 2)}),
)
BLOCKS = st.one_of(
    DELTAS,
    DELTAS,
    WORDS.map(append),
    WORDS.map(delta),
    MESSAGES.map(add),
    MESSAGES.map(snapshot),
    WORDS.map(finish),
    st.sampled_from([OPENING, COMPLETE, DONE, b": ping\n\n", b"data:\n\n", b"event: delta\ndata: nonsense\n\n"]),
    st.sampled_from(["error", "moderation", "stream_handoff", "server_ste_metadata", "unheard of"]).map(typed),
    JSON_VALUES.map(block),
)
STREAMS = st.lists(BLOCKS, max_size=14).map(lambda blocks: add(message()) + b"".join(blocks))


DAMAGED = st.sampled_from(NAMES).map(capture).flatmap(damaged)


@given(STREAMS | DAMAGED, st.data())
def test_chunking_never_matters(stream: bytes, data: st.DataObject) -> None:
    assert outcome(data.draw(pieces(stream))) == outcome([stream])


@given(
    st.sampled_from([append("Once"), append("Once", "/message/content/thoughts/0/content"), delta("x"), b""]),
    st.lists(WORDS | st.text(max_size=3), min_size=6, max_size=40),
    st.sampled_from([COMPLETE, DONE, typed("error"), b"event: delta\ndata: nonsense\n\n", finish("end")]),
)
def test_a_run_of_deltas_is_read_as_each_of_them(before: bytes, texts: list[str], after: bytes) -> None:
    for spelled in (list(map(delta, texts)), [delta(text).replace(b'"v": ', b'"v":') for text in texts]):
        one_by_one = [OPENING, add(message()), before, *spelled, after]
        assert outcome([add(message()) + before, b"".join(spelled), after]) == outcome(one_by_one[1:])
        assert outcome([b"".join(one_by_one)]) == outcome(one_by_one)


@given(STREAMS | DAMAGED, st.data())
def test_chunking_never_matters_for_pictures(stream: bytes, data: st.DataObject) -> None:
    assert pictures(data.draw(pieces(stream))) == pictures([stream])


def pictures(chunks: list[bytes]) -> tuple[Gallery, Verdict | None]:
    decoder = TurnDecoder()
    try:
        for chunk in chunks:
            decoder.feed(chunk)
        decoder.end_of_stream()
    except UpstreamError:
        return decoder.gallery(), None
    return decoder.gallery(), decoder.verdict()


@given(st.binary() | STREAMS | DAMAGED)
@MANY
def test_anything_gives_a_sentence_or_the_beginning_of_one_and_an_error_of_ours(stream: bytes) -> None:
    events, error = outcome([stream[:100], stream[100:]])
    if error is None:
        check(events)
    else:
        Checker().feed(events)


@given(STREAMS, STREAMS, st.sampled_from(["reconnect", "go_on"]))
@MANY
def test_so_does_a_turn_over_two_streams(first: bytes, second: bytes, between: str) -> None:
    decoder = TurnDecoder(Sent(frozenset(["m3"]), frozenset(["a"])))
    events: list[Event] = []
    try:
        events += decoder.feed(first) + decoder.end_of_stream()
        getattr(decoder, between)()
        events += decoder.feed(second) + decoder.close()
    except UpstreamError:
        Checker().feed(events)
    else:
        check(events)


HOSTILE: list[object] = [None, True, 0, -1, 10**30, 1.5, "", "text", [], [[]], {}, {"a": {}}, ["x", 1], [{}]]


def hostile_messages() -> list[object]:
    """Every field of a message replaced by every wrong type, one at a time, two levels deep."""
    found: list[object] = list(HOSTILE)
    base = whole(
        "text",
        metadata={
            "finish_details": {"type": "stop"},
            "content_references": [{"matched_text": "x", "items": []}],
            "citations": [{"metadata": {"extra": {}}}],
            "search_result_groups": [{"entries": [{"ref_id": {}}]}],
            "model_slug": "m",
        },
    )
    for key, value in base.items():
        for wrong in HOSTILE:
            found.append({**base, key: wrong})
            if isinstance(value, dict):
                found += [{**base, key: {**value, inner: wrong}} for inner in value]
    return found + hostile_pictures()


def hostile_pictures() -> list[object]:
    """The same for a message that shows a picture, down to the parts of its pointer."""
    shown = pointer("sediment://file_a", metadata={"dalle": {"prompt": "p"}})
    found: list[object] = [picture() | {key: wrong} for key in picture() for wrong in HOSTILE]
    for wrong in HOSTILE:
        found += [picture(metadata={"image_gen_task_id": wrong, "image_gen_title": wrong})]
        parts = [wrong, *({**shown, key: wrong} for key in shown), {**shown, "metadata": {"dalle": wrong}}]
        found += [picture(**content("multimodal_text", parts=[part])) for part in parts]
    return found


@pytest.mark.parametrize("write", [add, snapshot], ids=["delta", "snapshot"])
def test_no_wrong_type_in_a_message_is_a_surprise(write: Callable[[object], bytes]) -> None:
    marked = "\ue200cite\ue202turn0search0\ue201【7†source】"
    for hostile in hostile_messages():
        for stream in (write(hostile) + COMPLETE + DONE, write(hostile) + append(marked) + finish("end") + DONE):
            events, error = outcome([stream])
            (check if error is None else Checker().feed)(events)


FIELDS = [
    "type",
    "message",
    "error",
    "error_code",
    "detail",
    "conversation_id",
    "moderation_response",
    "token",
    "metadata",
]
KINDS = [
    "error",
    "moderation",
    "stream_handoff",
    "conversation_async_status",
    "server_ste_metadata",
    "resume_conversation_token",
    "message_stream_complete",
]


def test_no_wrong_type_in_a_block_is_a_surprise() -> None:
    for kind in (None, *KINDS):
        for field in FIELDS:
            for hostile in HOSTILE:
                value = ({"type": kind} if kind else {}) | {field: hostile}
                events, error = outcome([add(message("a")), block(value), block(value, "message"), COMPLETE, DONE])
                (check if error is None else Checker().feed)(events)


def nested(depth: int) -> str:
    return "[" * depth + '"x"' + "]" * depth


@pytest.mark.parametrize("depth", [100, 600, 900, 100_000])
@pytest.mark.parametrize(
    "template",
    [
        '{"type":"error","error":%s}',
        '{"type":"error","error":{"message":%s}}',
        '{"error":%s,"message":null}',
        (
            '{"message":{"id":"m","author":{"role":"assistant"},"content":{"content_type":"text","parts":["【7†source】"]},'
            '"metadata":{"citations":[{"metadata":{"url":"u","extra":{"cited_message_idx":%s}}}],'
            '"search_result_groups":[{"entries":[{"url":"u","ref_id":{"turn_index":%s}}]}]},'
            '"status":"finished_successfully","end_turn":true}}'
        ),
        "%s",
    ],
    ids=["error", "error message", "untyped error", "message", "bare list"],
)
def test_deep_nesting_is_an_error_of_ours_or_none(template: str, depth: int) -> None:
    stream = f"data: {template.replace('%s', nested(depth))}\n\n".encode()
    events, error = outcome([stream, DONE])
    (check if error is None else Checker().feed)(events)


def test_deep_nesting_in_the_name_of_an_encoding_is_one_too() -> None:
    events, error = outcome([f"event: delta_encoding\ndata: {nested(900)}\n\n".encode()])
    assert (events, error) == ([], ("ProtocolViolation", "the upstream chose an unknown stream encoding"))


# Time.


def seconds(stream: list[bytes]) -> float:
    decoder = TurnDecoder()
    gc.disable()
    began = time.process_time()
    for chunk in stream:
        decoder.feed(chunk)
    decoder.close()
    took = time.process_time() - began
    gc.enable()
    return took


def cut(whole: bytes, size: int) -> list[bytes]:
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def one_large_event(size: int) -> list[bytes]:
    return cut(add(whole("x" * size)) + DONE, 16)


def inherited_deltas(size: int) -> list[bytes]:
    return [add(message("a")), append("b"), *([delta("word ")] * (size // 50)), finish("."), DONE]


def explicit_appends(size: int) -> list[bytes]:
    return [add(message("a")), append("b"), *([append("word ")] * (size // 100)), finish("."), DONE]


def appends_to_thoughts(size: int) -> list[bytes]:
    thoughts = message(**content("thoughts", thoughts=[{"summary": "s", "content": "c"}]))
    path = "/message/content/thoughts/0/content"
    return [add(thoughts), *([append("word ", path)] * (size // 100)), add(whole("end", "m2"), 1), DONE]


def appends_in_patches(size: int) -> list[bytes]:
    patch = delta([{"p": TEXT, "o": "append", "v": "word "}] * 10, p="", o="patch")
    return [add(message("a")), *([patch] * (size // 600)), finish("."), DONE]


def unclosed_markers(size: int) -> list[bytes]:
    return [add(message("a")), append("b"), *([delta("\ue200cite ")] * (size // 50)), finish("."), DONE]


def messages(size: int) -> list[bytes]:
    return [*(add(whole("x", f"m{number}"), number) for number in range(size // 300)), DONE]


def many_pictures(size: int) -> list[bytes]:
    return [*(add(picture("sediment://a", identity=f"p{number}"), number) for number in range(size // 400)), DONE]


def replayed_deltas(size: int) -> list[bytes]:
    half = [add(message("")), append("b"), *([delta("word ")] * (size // 100))]
    return [*half, *half, finish("."), DONE]


def many_comments(size: int) -> list[bytes]:
    return [*cut(b": ping\n\n" * (size // 8), 3), add(whole("x")), DONE]


LOADS = [
    one_large_event,
    inherited_deltas,
    explicit_appends,
    appends_to_thoughts,
    appends_in_patches,
    unclosed_markers,
    messages,
    many_pictures,
    replayed_deltas,
    many_comments,
]


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.__name__.replace("_", " "))
def test_time_is_linear(load: Callable[[int], list[bytes]]) -> None:
    """Twice the bytes may take three times as long: four would be quadratic, the best of three rounds is not noisy."""
    small, large = load(500_000), load(1_000_000)
    ratios = [seconds(large) / max(seconds(small), 0.01) for _ in range(3)]
    assert min(ratios) < 3, ratios


@given(st.text(max_size=300), st.integers(1, 40), st.randoms(use_true_random=False))
@example("", 1, Random(0))
def test_a_text_arrives_however_it_is_told(text: str, size: int, random: Random) -> None:
    """Snapshots, inherited deltas, explicit appends and patches spell one answer (markers are another test's)."""
    text = text.translate(dict.fromkeys(range(0xE200, 0xE205), "p") | {0x3010: "b"})
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    so_far = ["".join(parts[: count + 1]) for count in range(len(parts))]
    patch = [delta([{"p": TEXT, "o": "append", "v": part}], p="", o="patch") for part in parts]
    tellings = [
        [*(snapshot(message(prefix)) for prefix in so_far), snapshot(whole(text)), DONE],
        [add(message()), append(""), *map(delta, parts), finish(), DONE],
        [add(message()), *map(append, parts), finish(), DONE],
        [add(message()), *patch, finish(), DONE],
        [add(whole(text)), DONE],
    ]
    answers = [outcome(telling) for telling in tellings]
    assert [(text_of(events), error) for events, error in answers] == [(text, None)] * len(tellings)
    assert json.dumps(text)
