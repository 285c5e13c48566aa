"""Directives: a user message with a line `loopback: {...}` scripts the simulated upstream.

The last such line of the last such user message of a turn counts, whatever follows it; so a directive goes on
scripting the later turns of a conversation that repeats it (tool results, `attempts`). Where it is looked for is
told in prompts.py, every key in docs/loopback.md.
"""

import json
import re
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from core.loopback.refusals import Refused
from core.loopback.sounds import Container
from core.upstreams.chatgpt_web.proof import Scheme

Count: TypeAlias = Annotated[int, Meta(ge=0, le=10_000_000)]
Milliseconds: TypeAlias = Annotated[int, Meta(ge=0, le=600_000)]
Status: TypeAlias = Annotated[int, Meta(ge=200, le=599)]

_LONGEST_TEXT = 64_000_000
_LINE = re.compile(r"\Aloopback:[ \t]*|^loopback:[ \t]*(?=\{)", re.MULTILINE)
_DECODER = json.JSONDecoder()


class SentinelSwitches(Struct, frozen=True, forbid_unknown_fields=True):
    """What the sentinel asks for. `status` and `finalize_status` fail a step (403: a challenge page).

    `scheme` is the one proof accepted; without it FNV in the two-step form and either in the one-step form,
    whose clients disagree (reference chatgpt-web 2.3). `two_step` false answers 404 to the two-step form;
    `no_token` leaves the token out of the last answer.
    """

    difficulty: str = "0fffff"
    scheme: Scheme | None = None
    proof: bool = True
    turnstile: bool = False
    arkose: bool = False
    so: bool = False
    force_login: bool = False
    two_step: bool = True
    no_token: bool = False
    status: Status | None = None
    finalize_status: Status | None = None


class Call(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call to say: `arguments` as JSON, or as a string that is said as it is; or a custom tool's `input`."""

    name: str
    arguments: msgspec.Raw = msgspec.Raw()
    input: str | None = None

    def __post_init__(self) -> None:
        if bytes(self.arguments) and self.input is not None:
            raise ValueError("a call has arguments or an input, not both")

    def between(self) -> str:
        """Return what stands between the call's tags."""
        if self.input is not None:
            return f"\n{self.input}\n"
        written = bytes(self.arguments) or b"{}"
        return msgspec.json.decode(written, type=str) if written[:1] == b'"' else written.decode()


class SpeechSwitches(Struct, frozen=True, forbid_unknown_fields=True):
    """How the answer sounds when it is read aloud.

    `delay_ms` passes before each kilobyte; after `cut_after_bytes` the connection is closed. `container` is what
    comes, whatever was asked for; `link` answers with a link to the sound.
    """

    delay_ms: Milliseconds = 0
    cut_after_bytes: Count | None = None
    container: Container | None = None
    link: bool = False


class PictureSwitches(Struct, frozen=True, forbid_unknown_fields=True):
    """How a picture is made: in the stream, or after it, to be found by polling or by a resume.

    `polls` is at which look at the conversation one that is made after its turn is there. `fail` is why it never
    comes, told by the account's tasks; `refuse` is said in its place. The first `cut_downloads` transfers break off.
    """

    form: Literal["stream", "poll", "handoff"] = "stream"
    polls: Annotated[int, Meta(ge=1, le=1000)] = 2
    previews: Annotated[int, Meta(ge=0, le=9)] = 0
    count: Annotated[int, Meta(ge=1, le=9)] = 1
    refuse: str | None = None
    fail: str | None = None
    cut_downloads: Count = 0


class PythonSwitches(Struct, frozen=True, forbid_unknown_fields=True):
    """What the python tool runs, with `tool_message` `python`.

    `file` is the name of a file that it writes and the answer links to, `chart` whether it draws one, `lost` whether
    that chart can be had.
    """

    code: str = "6 * 7"
    output: str = "42"
    file: str | None = None
    chart: bool = False
    lost: bool = False


class ResearchSwitches(Struct, frozen=True, forbid_unknown_fields=True):
    """How a deep research goes: `text` is its report.

    `polls` is at which look at the conversation it is there, `holder` what the widget's state stands in. `fail` is the
    status in which it ends without a report; `begun` false asks something back (`text`) in place of a research.
    """

    polls: Annotated[int, Meta(ge=1, le=1000)] = 2
    holder: Literal["metadata", "text"] = "metadata"
    fail: str | None = None
    begun: bool = True


class Directive(Struct, frozen=True, forbid_unknown_fields=True):
    """One script. Lengths are in characters (code points) of the answer's text, markers included.

    With both `handoff` and `cut_after_chars` the connection is cut there and the rest handed off. A stop
    beyond the end of the text does not happen; of several stops the earliest does. `rounds` and `attempts`
    replace the directive as a whole; a round may have attempts.
    """

    text: str | None = None
    calls: tuple[Call, ...] = ()
    reasoning: str | None = None
    reasoning_form: Literal["analysis", "thoughts"] = "analysis"
    chunk_chars: Annotated[int, Meta(ge=1)] = 4
    delay_ms: Milliseconds = 0
    first_delay_ms: Milliseconds = 0
    encoding: Literal["delta", "snapshot"] | None = None
    finish: Literal["stop", "max_tokens", "none"] = "stop"
    status: Status | None = None
    body: object = None
    headers: dict[str, str] = {}
    sentinel: SentinelSwitches | None = None
    cut_after_chars: Count | None = None
    stall_after_chars: Count | None = None
    error_after_chars: Count | None = None
    moderation_after_chars: Count | None = None
    handoff: Literal["resume", "poll"] | None = None
    handoff_after_chars: Count = 8
    tool_message: Literal["python", "search", "image"] | None = None
    python: PythonSwitches | None = None
    image: PictureSwitches | None = None
    research: ResearchSwitches | None = None
    echo_history: bool = False
    capture: str | None = None
    speech: SpeechSwitches | None = None
    repeat: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    rounds: "tuple[Directive, ...]" = ()
    attempts: "tuple[Directive, ...]" = ()

    def __post_init__(self) -> None:
        if any(inner.rounds for inner in (*self.rounds, *self.attempts)):
            raise ValueError("rounds cannot stand inside rounds or attempts")


KNOWN_KEYS = tuple(Directive.__struct_fields__)
PLAIN = Directive()


def find_directive(text: str) -> str:
    """Return the JSON text of the last directive of a user message, "" when there is none.

    Raises:
        Refused: 400, when the message begins like a directive and goes on otherwise.
    """
    starts = [match.end() for match in _LINE.finditer(text)]
    return _object_at(text, starts[-1]) if starts else ""


def parse_directive(source: str) -> Directive:
    """Return the directive that JSON text spells; raise `Refused` 400 naming the known keys otherwise."""
    if not source:
        return PLAIN
    try:
        directive = msgspec.json.decode(source, type=Directive)
    except msgspec.DecodeError as error:
        raise _malformed(str(error)) from error
    if len(directive.text or "") * directive.repeat > _LONGEST_TEXT:
        raise _malformed(f"the text is longer than {_LONGEST_TEXT} characters")
    return directive


def choose_round(directive: Directive, count: int) -> Directive:
    """Return what is said after `count` turns of tool results."""
    return _nth(directive.rounds, count, directive)


def choose_attempt(directive: Directive, count: int) -> Directive:
    """Return what the request number `count` (from 0) with this directive meets."""
    return _nth(directive.attempts, count, directive)


def _nth(directives: tuple[Directive, ...], count: int, otherwise: Directive) -> Directive:
    return directives[min(count, len(directives) - 1)] if directives else otherwise


def _object_at(text: str, start: int) -> str:
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise _malformed("`loopback:` must be followed by one JSON object") from error
    if not isinstance(value, dict):
        raise _malformed("`loopback:` must be followed by one JSON object")
    return text[start:end]


def _malformed(what: str) -> Refused:
    return Refused(400, {"detail": f"loopback directive: {what}; known keys: {', '.join(KNOWN_KEYS)}"})
