"""The layer that gives tools to an upstream without any, over inner apps that follow a script."""

import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Raw, Struct
from msgspec.structs import replace
from starlette.types import ASGIApp, Receive, Scope, Send

from api.events import EXTENSION, EventStream
from api.middleware.errors import Errors
from api.middleware.sse import Sse
from api.middleware.tools import Tools
from api.tool_log import ToolLog
from core.accounts import Account, Principal, Secret
from core.contracts import Capabilities, Exchange, Target, Upstream
from core.errors import NotFound, UpstreamUnavailable
from core.events import Event, Finish, FinishReason, Start, TextDelta, TextEnd, TextStart
from core.request import ChatRequest, Message, OutputFormat, Text, Tool, ToolChoice, Turn
from core.settings import Settings, SettingsError
from core.transport import Transport
from core.wire.openai_chat import OPENAI_CHAT
from tests.api.layers import Client, SilentUpstream, exchange, http_scope
from tests.api.servers import data_frames

pytestmark = pytest.mark.anyio

SEARCH = Tool("search", parameters=Raw(b'{"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}'))
REQUIRED = ToolChoice("required")
BAD = '<TAG name="serch">{"q":"x"}</TAG>'
GOOD = '<TAG name="search">{"q":"x"}</TAG>'
DENIAL = "I can't access your files. "


class Model:
    """An inner app that says its answers in turn, TAG in them being the tag that it was told to use.

    It says an answer in deltas of `size` characters, each a batch of its own.
    """

    def __init__(
        self,
        *answers: str,
        size: int = 7,
        finish: FinishReason = "stop",
        error: Exception | None = None,
        kept: bool | None = None,
        conversations: Sequence[str] = (),
    ) -> None:
        self._answers = list(answers)
        names = conversations or [f"conversation-{number}" for number in range(len(answers))]
        self._turns = [None if kept is None else Turn(name, "message", kept=kept) for name in names]
        self._size, self._finish, self._error = size, finish, error
        self.asked: list[ChatRequest] = []
        self.ids: list[str] = []
        self.batches = 0
        self.closed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        turn: Exchange = scope["exchange"]
        self.asked.append(turn.request)
        self.ids.append(turn.id)
        await EventStream(self._tell(self._answers.pop(0).replace("TAG", tag_in(turn.request))))(scope, receive, send)

    async def _tell(self, said: str) -> AsyncGenerator[list[Event], None]:
        try:
            turn = self._turns[len(self.asked) - 1]
            yield [Start("gpt-test", turn=turn), TextStart(0)]
            for begin in range(0, len(said), self._size):
                self.batches += 1
                yield [TextDelta(0, said[begin : begin + self._size])]
            if self._error is not None:
                raise self._error
            yield [TextEnd(0), Finish(self._finish, turn=turn)]
        finally:
            self.closed += 1

    def told(self, attempt: int) -> str:
        """Return the newest message of an attempt's request."""
        return text_of(self.asked[attempt].messages[-1])


def text_of(message: Message) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, Text))


def tag_in(request: ChatRequest) -> str:
    instructions = text_of(request.messages[0])
    return instructions.partition("<call_")[2][:6].join(("call_", "")) if "<call_" in instructions else "TAG"


def settings(**environ: str) -> Settings:
    return Settings.from_env(environ)


async def ask(
    inner: ASGIApp,
    stream: bool,
    environ: dict[str, str] | None = None,
    upstream: Upstream | None = None,
    client: Client | None = None,
    **fields: Any,
) -> Client:
    """Ask through the layers from errors to tools; the request has one tool unless `fields` say otherwise."""
    turn = exchange(stream=stream, **{"tools": (SEARCH,), **fields})
    if upstream is not None:
        turn = replace(turn, target=Target(upstream, "auto"))
    app = Errors(Sse(Tools(inner, settings(**(environ or {}))), 3_600.0), OPENAI_CHAT)
    state = SimpleNamespace(gateway=SimpleNamespace(transport=None))
    scope = http_scope(exchange=turn, request_id="request-1", app=SimpleNamespace(state=state))
    return await (client or Client()).call(app, scope)


class Heard:
    """What a client made of the answer, the same of a stream and of a whole one."""

    def __init__(self, client: Client) -> None:
        self.status, self.headers = client.status, client.headers
        self.calls: list[tuple[str, str]] = []
        self.content = ""
        self.finish: str | None = None
        self.error: dict[str, Any] = {}
        for frame in frames_of(client):
            self._hear(frame)

    def _hear(self, frame: Any) -> None:
        self.error = frame.get("error", self.error)
        for choice in frame.get("choices", ()):
            said = choice.get("delta") or choice.get("message") or {}
            self.content += said.get("content") or ""
            self.finish = choice.get("finish_reason") or self.finish
            for call in said.get("tool_calls") or ():
                self._hear_call(call)

    def _hear_call(self, call: Any) -> None:
        name, arguments = call["function"].get("name"), call["function"]["arguments"]
        if name:
            self.calls.append((name, arguments))
        else:
            before = self.calls.pop()
            self.calls.append((before[0], before[1] + arguments))


def frames_of(client: Client) -> list[Any]:
    """Return the frames of a stream, or the one object of a whole answer."""
    streamed = client.text.startswith("data: ")
    return [
        frame for frame in (data_frames(client.text) if streamed else [json.loads(client.text)]) if frame != "[DONE]"
    ]


BOTH = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


@BOTH
async def test_a_call_reaches_the_client_and_the_request_reaches_the_model_as_text(stream: bool) -> None:
    model = Model("Let me look. " + GOOD)
    heard = Heard(await ask(model, stream))
    assert (heard.content, heard.calls, heard.finish) == ("Let me look. ", [("search", '{"q":"x"}')], "tool_calls")
    assert not model.asked[0].tools
    assert model.ids == ["0123456789abcdef01234567.0"]


@BOTH
async def test_a_call_that_cannot_be_used_is_asked_for_once_more(stream: bool) -> None:
    model = Model(BAD, GOOD)
    heard = Heard(await ask(model, stream))
    assert (heard.calls, heard.finish) == ([("search", '{"q":"x"}')], "tool_calls")
    assert "there is no tool 'serch'; the tools are: 'search'" in model.told(1)
    assert "x-isthmus-tools" not in heard.headers


@BOTH
async def test_what_came_before_such_a_call_stays(stream: bool) -> None:
    model = Model("Two. " + GOOD + BAD, GOOD.replace("x", "y"))
    heard = Heard(await ask(model, stream))
    assert heard.content == "Two. "
    assert heard.calls == [("search", '{"q":"x"}'), ("search", '{"q":"y"}')]


@BOTH
async def test_so_does_what_was_not_judged_yet(stream: bool) -> None:
    heard = Heard(await ask(Model("Let me look: " + BAD, GOOD), stream))
    assert (heard.content, heard.calls) == ("Let me look: ", [("search", '{"q":"x"}')])


@BOTH
async def test_a_second_such_call_is_text_and_a_header_says_so(stream: bool) -> None:
    model = Model(BAD, "Here it is. See: " + BAD)
    heard = Heard(await ask(model, stream))
    assert len(model.asked) == 2
    assert heard.content == "Here it is. See: " + BAD.replace("TAG", tag_in(model.asked[0]))
    assert (heard.calls, heard.finish) == ([], "stop")
    assert heard.headers.get("x-isthmus-tools") == (None if stream else "failed")


async def test_a_stream_that_has_not_begun_says_so_in_its_header_too() -> None:
    heard = Heard(await ask(Model(BAD, BAD), True))
    assert heard.headers["x-isthmus-tools"] == "failed"


@BOTH
async def test_a_forced_call_is_insisted_on_once(stream: bool) -> None:
    model = Model("I would rather not.", GOOD)
    heard = Heard(await ask(model, stream, tool_choice=REQUIRED))
    assert (heard.content, heard.calls) == ("", [("search", '{"q":"x"}')])
    assert model.told(1).startswith("You did not call a tool, but you must.")


@BOTH
async def test_a_forced_call_that_does_not_come_is_an_error(stream: bool) -> None:
    model = Model("No.", "No!", GOOD)
    heard = Heard(await ask(model, stream, tool_choice=REQUIRED))
    assert len(model.asked) == 2
    assert heard.status == 502
    assert heard.error["code"] == "tool_choice_not_satisfied"


@BOTH
@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (3, 4)])
async def test_a_denial_is_met_as_often_as_the_setting_says(stream: bool, retries: int, attempts: int) -> None:
    model = Model(*[DENIAL + "Sorry."] * 9)
    heard = Heard(await ask(model, stream, {"REFUSAL_RETRIES": str(retries)}))
    assert len(model.asked) == attempts
    assert heard.content == DENIAL + "Sorry."


@BOTH
async def test_a_denial_is_forgotten_when_the_call_comes(stream: bool) -> None:
    model = Model(DENIAL + "Sorry.", GOOD)
    heard = Heard(await ask(model, stream))
    assert (heard.content, heard.calls) == ("", [("search", '{"q":"x"}')])
    assert "You do have these tools here" in model.told(1)


class Keeper(SilentUpstream):
    """An upstream that keeps every turn, and notes what is removed."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    async def forget(self, turn: Turn, principal: Principal, transport: Transport) -> None:
        self.removed.append(turn.conversation_id)
        if turn.conversation_id == "gone":
            raise NotFound("it is gone")


class Attempt(Struct, frozen=True):
    """What the attempts say, each in a conversation of its own; which one the ids name, and which are removed."""

    id: str
    said: tuple[str, ...]
    named: int | None
    removed: tuple[int, ...]
    stream: bool = True
    kept: bool = True
    fields: dict[str, Any] = {}


ATTEMPTS = [
    Attempt("the only one stays", (GOOD,), 0, ()),
    Attempt("a denial that was not told goes", (DENIAL + "So.", GOOD), 1, (0,)),
    Attempt("two denials go", (DENIAL + "So.", DENIAL + "So.", GOOD), 2, (0, 1), stream=False),
    Attempt("a bad call that was not told goes", (BAD, GOOD), 1, (0,)),
    Attempt("of a whole answer the last one stays", ("One. Two. " + BAD, GOOD), 1, (0,), stream=False),
    Attempt("of a stream the one that was told stays", ("One. Two. " + BAD, GOOD), 0, (1,)),
    Attempt("nothing that is temporary is removed", (BAD, GOOD), 1, (), kept=False),
    Attempt("all go when there is no answer", ("No.", "No!"), None, (0, 1), fields={"tool_choice": REQUIRED}),
]


@pytest.mark.parametrize("case", ATTEMPTS, ids=lambda case: case.id)
async def test_an_account_keeps_what_the_ids_name(case: Attempt) -> None:
    upstream, model = Keeper(), Model(*case.said, kept=case.kept)
    client = await ask(model, case.stream, upstream=upstream, **case.fields)
    assert upstream.removed == [f"conversation-{number}" for number in case.removed]
    named = {frame["conversation_id"] for frame in frames_of(client) if "conversation_id" in frame}
    assert named == (set() if case.named is None else {f"conversation-{case.named}"})


async def test_they_are_removed_before_the_answer_ends() -> None:
    upstream = Keeper()
    removed: list[int] = []
    client = Client(hear=lambda body: removed.append(len(upstream.removed)) if b"[DONE]" in body else None)
    await ask(Model("One. Two. " + BAD, GOOD, kept=True), True, upstream=upstream, client=client)
    assert removed == [1]


async def test_a_removal_that_fails_changes_nothing() -> None:
    upstream = Keeper()
    heard = Heard(await ask(Model(BAD, GOOD, kept=True, conversations=("gone", "stays")), True, upstream=upstream))
    assert (heard.calls, upstream.removed) == ([("search", '{"q":"x"}')], ["gone"])


async def test_a_denial_ends_its_attempt_as_soon_as_it_is_seen() -> None:
    model = Model(DENIAL + "But. " + "x" * 70_000, "Fine.")
    await ask(model, True)
    assert model.batches < 20
    assert model.closed == 2


@BOTH
async def test_one_call_is_enough_when_no_more_are_wanted(stream: bool) -> None:
    model = Model(GOOD + "x" * 70_000)
    heard = Heard(await ask(model, stream, parallel_tool_calls=False))
    assert (heard.content, heard.calls, heard.finish) == ("", [("search", '{"q":"x"}')], "tool_calls")
    assert model.batches < 20
    assert model.closed == 1


@BOTH
async def test_one_call_that_ends_with_the_answer_is_ended_once(stream: bool) -> None:
    heard = Heard(await ask(Model(GOOD.removesuffix("</TAG>")), stream, parallel_tool_calls=False))
    assert (heard.calls, heard.finish) == ([("search", '{"q":"x"}')], "tool_calls")


async def test_a_fault_behind_what_was_sent_ends_the_stream_in_its_own_form() -> None:
    model = Model('<TAG name="search">{"q": "x", oops}</TAG>')
    client = await ask(model, True)
    heard = Heard(client)
    assert client.status == 200
    assert heard.error["code"] == "malformed_tool_call"
    assert client.text.endswith("data: [DONE]\n\n")
    assert client.ends == 1
    assert model.closed == 1


@BOTH
async def test_an_answer_that_is_cut_within_a_call_ends_for_length(stream: bool) -> None:
    heard = Heard(await ask(Model('<TAG name="search">{"q": "x y z', finish="length"), stream))
    assert (heard.calls, heard.finish) == ([("search", '{"q": "x y z')], "length")


@BOTH
async def test_an_early_failure_keeps_its_status(stream: bool) -> None:
    model = Model("", error=UpstreamUnavailable("gone"))
    heard = Heard(await ask(model, stream))
    assert heard.status == 503


@BOTH
async def test_json_that_was_asked_for_is_repaired_once(stream: bool) -> None:
    model = Model("I think so.", '```json\n{"a": 1}\n```')
    heard = Heard(await ask(model, stream, tools=(), output_format=OutputFormat("json_object")))
    assert heard.content == '{"a": 1}'
    assert "it holds no JSON value" in model.told(1)


@BOTH
async def test_json_that_does_not_come_is_an_error(stream: bool) -> None:
    heard = Heard(await ask(Model("No.", "No!"), stream, tools=(), output_format=OutputFormat("json_object")))
    assert (heard.status, heard.error["code"]) == (502, "schema_not_satisfied")


async def test_json_that_breaks_its_schema_when_it_was_sent_ends_the_stream_in_its_own_form() -> None:
    asked = OutputFormat("json_schema", "n", Raw(b'{"required":["b"]}'))
    client = await ask(Model('{"a": 1}'), True, tools=(), output_format=asked)
    heard = Heard(client)
    assert client.status == 200
    assert heard.content == '{"a": 1}'
    assert heard.error["code"] == "schema_not_satisfied"
    assert client.text.endswith("data: [DONE]\n\n")


async def test_without_emulation_tools_are_left_out_and_named() -> None:
    model = Model(GOOD)
    await ask(model, True, {"TOOL_CALLING_ENABLED": "false"}, tool_choice=REQUIRED)
    assert not model.asked[0].tools
    assert model.asked[0].ignored == ("tools",)
    assert model.asked[0].tool_choice == ToolChoice("auto")
    assert len(model.asked[0].messages) == 1


class Able(SilentUpstream):
    """An upstream that can do some things by itself."""

    def __init__(self, **able: bool) -> None:
        self._able = Capabilities(**able)  # type: ignore[arg-type]

    def capabilities(self, model: str) -> Capabilities:
        return self._able


@pytest.mark.parametrize("environ", [{}, {"TOOL_CALLING_ENABLED": "false"}], ids=["emulation on", "emulation off"])
async def test_an_upstream_with_tools_of_its_own_gets_them(environ: dict[str, str]) -> None:
    assert (await asked_of(Able(tools=True), environ, tools=(SEARCH,))).tools == (SEARCH,)


async def test_an_upstream_with_a_format_of_its_own_gets_that() -> None:
    output_format = OutputFormat("json_object")
    assert (
        await asked_of(Able(structured_output=True), {}, output_format=output_format)
    ).output_format == output_format


async def test_what_it_cannot_do_is_lowered() -> None:
    asked = await asked_of(Able(tools=True), {}, tools=(SEARCH,), output_format=OutputFormat("json_object"))
    assert not asked.tools
    assert asked.output_format is None


async def test_a_request_without_tools_passes_untouched() -> None:
    turn = exchange()
    assert await asked_of(SilentUpstream(), {}) == turn.request


async def asked_of(upstream: SilentUpstream, environ: dict[str, str], **fields: Any) -> ChatRequest:
    turn = replace(exchange(**fields), target=Target(upstream, "auto"))
    model = Model('{"a": 1}')
    await Tools(model, settings(**environ))(http_scope(exchange=turn, extensions={EXTENSION: {}}), nothing, forget)
    return model.asked[0]


async def nothing() -> Any:
    raise AssertionError("the layer reads no body")


async def forget(message: Any) -> None:
    """A client that does not listen."""


async def test_messages_that_are_no_events_pass() -> None:
    sent: list[Any] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    await Tools(inner, settings())(http_scope(exchange=exchange(tools=(SEARCH,))), nothing, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_each_caller_has_a_tag_of_its_own() -> None:
    account = Account(Secret("a-token"))
    principals: Sequence[Principal] = (
        Principal("pool", key_digest="one"),
        Principal("pool", key_digest="two"),
        Principal("account", account=account),
        Principal("anonymous", device_id="a-device"),
    )
    tags = set()
    for principal in principals:
        model = Model("Hello.")
        turn = replace(exchange(tools=(SEARCH,)), principal=principal)
        await Tools(model, settings())(http_scope(exchange=turn, extensions={EXTENSION: {}}), nothing, forget)
        tags.add(tag_in(model.asked[0]))
    assert len(tags) == len(principals)


async def test_the_trace_goes_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tools.log"
    model = Model(BAD, GOOD)
    await ask(model, True, {"DEBUG_TOOL_LOG": str(path)})
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["request_id"], first["attempt"], first["again"]) == ("request-1", 0, "malformed")
    assert first["reason"] == "there is no tool 'serch'; the tools are: 'search'"
    assert first["said"] == BAD.replace("TAG", tag_in(model.asked[0]))
    assert (second["attempt"], second["again"], second["error"]) == (1, None, None)


def test_a_trace_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DEBUG_TOOL_LOG cannot be written: Is a directory"):
        ToolLog(str(tmp_path))


async def test_the_trace_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    await ask(Model("No.", "No!"), True, {"DEBUG_TOOL_LOG": "stderr"}, tool_choice=REQUIRED)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["again"] == "forced"
    assert (second["again"], second["error"]) == (None, "tool_choice_not_satisfied")


async def test_without_a_path_there_is_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    await ask(Model(GOOD), True)
    assert capsys.readouterr().err == ""
