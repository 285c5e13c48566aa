"""Every recorded stream decodes to what it says, however it is cut.

`expected.json` was made by a reassembler that shares no code with the project, and read by eye.
"""

from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from core.errors import UpstreamError
from core.events import Event, Finish, Start
from core.grammar import Checker, check
from core.wire.chatgpt_web.stream import TurnDecoder
from tests.core.wire.chatgpt_web.streams import bytewise, decode, outcome, text_of

FOLDER = Path(__file__).parents[3] / "captures" / "chatgpt-web"
EXPECTED: dict[str, dict[str, Any]] = msgspec.json.decode((FOLDER / "expected.json").read_bytes())
NAMES = sorted(path.name for path in FOLDER.glob("*.sse") if not path.name.startswith("codex_"))
ANSWERED = [name for name in NAMES if "text" in EXPECTED[name]]
LINE_ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}
SPLITS = 120


def capture(name: str, line_end: bytes = b"\n") -> bytes:
    return (FOLDER / name).read_bytes().replace(b"\n", line_end)


def splits(size: int) -> range:
    """Every place of a small stream; of a larger one as many places, coprime to its rhythm."""
    return range(size + 1) if size < 1000 else range(0, size + 1, size // SPLITS | 1)


def test_every_capture_has_its_expectation() -> None:
    assert sorted(EXPECTED) == NAMES


@pytest.mark.parametrize("name", ANSWERED)
def test_an_answer_is_read_whole(name: str) -> None:
    expected = EXPECTED[name]
    events = decode([capture(name)])
    check(events)
    start = next(event for event in events if isinstance(event, Start))
    finish = events[-1]
    assert isinstance(finish, Finish)
    assert finish.turn is not None
    assert {
        "text": text_of(events),
        "model": start.model,
        "message_id": finish.turn.message_id,
        "conversation_id": finish.turn.conversation_id,
        "raw_reason": finish.raw_reason,
    } == expected
    assert finish.reason == "stop"


@pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=LINE_ENDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_capture_reads_the_same_in_any_pieces(name: str, line_end: bytes) -> None:
    stream = capture(name, line_end)
    expected = outcome([capture(name)])
    assert outcome(bytewise(stream)) == expected
    for cut in splits(len(stream)):
        assert outcome([stream[:cut], stream[cut:]]) == expected, cut
    random = Random(name)
    for _ in range(20):
        edges = [0, *sorted(random.choices(range(len(stream)), k=random.randint(2, 40))), len(stream)]
        assert outcome(stream[begin:end] for begin, end in pairwise(edges)) == expected, edges


def test_a_small_capture_is_cut_at_every_byte() -> None:
    stream = capture("delta_v1_free_gpt52_a.sse")
    expected = decode([stream])
    for cut in range(len(stream) + 1):
        assert decode([stream[:cut], stream[cut:]]) == expected, cut


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_that_breaks_off_is_a_beginning_or_the_answer(name: str) -> None:
    stream = capture(name)
    for cut in splits(len(stream)):
        decoder = TurnDecoder()
        checker = Checker()
        events: list[Event] = []
        try:
            events += decoder.feed(stream[:cut])
            events += decoder.close()
        except UpstreamError:
            checker.feed(events)
        else:
            check(events)
            assert text_of(events) == EXPECTED[name]["text"]


def test_a_picture_that_comes_later_is_a_hand_off() -> None:
    decoder = TurnDecoder()
    assert decoder.feed(capture("delta_v1_image_edit_handoff.sse")) == []
    assert decoder.over
    assert decoder.verdict() == EXPECTED["delta_v1_image_edit_handoff.sse"]["verdict"]
    assert decoder.conversation_id == "69eb5a4b-282c-83ea-b4f6-91ba9510bc9f"
    assert decoder.resume_token == "REDACTED_JWT"
    assert outcome([capture("delta_v1_image_edit_handoff.sse")]) == (
        [],
        (
            "UpstreamUnavailable",
            "the upstream did not finish the picture while it was waited for",
        ),
    )


def test_a_refusal_inside_a_stream_is_a_challenge_in_its_own_words() -> None:
    name = "in_stream_refusal_unusual_activity.sse"
    assert outcome([capture(name)]) == ([], ("ChallengeRequired", EXPECTED[name]["error"]))


def test_custom_instructions_of_the_account_are_never_shown() -> None:
    events = decode([capture("delta_v1_gpt4o_2025_ping.sse")])
    assert "REDACTED user" not in repr(events)
