"""A Messages request body to the canonical request. Every refusal names its field, as messages[0].content[1].

Fields of betas that are not known here are accepted, and named as ignored where nobody honours them: a client like
Claude Code would otherwise ask again, once for each of them.
"""

from typing import Literal

from msgspec import Raw, Struct, json

from core.errors import InvalidRequest
from core.json_body import clean, decode, given, known, missing, read_top, required
from core.openai_words import EFFORTS
from core.request import ChatRequest, Hints, OutputFormat, ReasoningOptions, Tool, ToolChoice
from core.wire.anthropic import types
from core.wire.anthropic.messages import MessageReader
from core.wire.anthropic.thinking import OMITTED, THINKING, effort_of

MAX_STOPS, MAX_STOP_CHARS = 64, 500
"""Each is looked for in every delta."""

_CHOICES: dict[str, Literal["auto", "none", "required", "named"]] = {
    "auto": "auto",
    "none": "none",
    "any": "required",
    "tool": "named",
}
_THINKS = ("enabled", "adaptive")
_HINTS = {"web_search_": "web_search", "code_execution_": "code_interpreter"}
"""Which of our hints the tools are that Anthropic runs itself, by how their types begin."""

_BODY = json.Decoder(types.Body)
_TOOL = json.Decoder(types.Tool)
_FIELDS = json.Decoder(dict[str, Raw])
_CHOICE = json.Decoder(types.ToolChoice)


class Offered(Struct, frozen=True):
    """What a request's tools are: the client's own, hints by the names of the tools they stand for, the rest."""

    tools: tuple[Tool, ...]
    hints: dict[str, str]
    ignored: tuple[str, ...]


def parse_request(body: bytes, needs_max_tokens: bool = True) -> ChatRequest:
    """Raise `InvalidRequest`, naming the field, when the body is not understood."""
    top = read_top(body)
    fields = decode(_BODY, body, "")
    if fields.messages is None:
        raise missing("messages")
    if not fields.messages:
        raise InvalidRequest("messages is empty: at least one message is required", param="messages")
    if fields.max_tokens is None and needs_max_tokens:
        raise missing("max_tokens")
    reader = MessageReader()
    messages = (*reader.system(fields.system), *reader.messages(fields.messages))
    offered = _offered(fields.tools or [])
    choice = _choice(fields.tool_choice)
    return ChatRequest(
        model=clean(required(fields.model, "model"), "model"),
        messages=messages,
        stream=bool(fields.stream),
        tools=offered.tools,
        tool_choice=_canonical_choice(choice, offered),
        parallel_tool_calls=_parallel(choice),
        max_output_tokens=fields.max_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        stop=_stop(fields.stop_sequences),
        reasoning=_reasoning(fields),
        output_format=_output_format(fields),
        hints=_hints(offered),
        extras={
            name: value
            for name, value in top.items()
            if name not in types.READ_FIELDS | types.UNANSWERED_FIELDS and given(value)
        },
        ignored=(*offered.ignored, *reader.ignored),
        echo=_echo(fields.thinking),
    )


# Tools.


def _offered(items: list[Raw]) -> Offered:
    tools: list[Tool] = []
    hints: dict[str, str] = {}
    ignored: list[str] = []
    for position, item in enumerate(items):
        path = f"tools[{position}]"
        tool = decode(_TOOL, item, path)
        hint = next((hint for start, hint in _HINTS.items() if (tool.type or "").startswith(start)), None)
        if hint is not None:
            hints[tool.name or hint] = hint
            ignored += _unread(item, path, types.SERVICE_FIELDS)
        elif tool.type in (None, "custom"):
            tools.append(_tool(tool, path))
            ignored += _unread(item, path, types.TOOL_FIELDS)
        else:
            ignored.append(path)
    return Offered(tuple(tools), hints, tuple(ignored))


def _unread(item: Raw, path: str, read: frozenset[str]) -> list[str]:
    """Return the paths of what a tool says beside the fields that are read."""
    known_here = read | types.UNANSWERED_TOOL_FIELDS
    fields = decode(_FIELDS, item, path).items()
    return [f"{path}.{name}" for name, value in fields if name not in known_here and given(value)]


def _tool(tool: types.Tool, path: str) -> Tool:
    name = clean(required(tool.name, f"{path}.name"), f"{path}.name")
    if not name:
        raise InvalidRequest(f"{path}.name is empty", param=f"{path}.name")
    schema = required(given(tool.input_schema), f"{path}.input_schema")
    return Tool(name, "function", tool.description, schema, tool.strict)


def _hints(offered: Offered) -> Hints:
    wanted = offered.hints.values()
    return Hints(web_search="web_search" in wanted, code_interpreter="code_interpreter" in wanted)


def _choice(value: Raw) -> types.ToolChoice | None:
    return None if given(value) is None else decode(_CHOICE, value, "tool_choice")


def _canonical_choice(choice: types.ToolChoice | None, offered: Offered) -> ToolChoice:
    """Return the choice; one that names a tool which became a hint is that hint already."""
    if choice is None:
        return ToolChoice("auto")
    mode = known(_CHOICES, choice.type, "tool_choice.type")
    if mode != "named":
        return ToolChoice(mode)
    name = required(choice.name, "tool_choice.name")
    return ToolChoice("auto") if name in offered.hints else ToolChoice("named", name)


def _parallel(choice: types.ToolChoice | None) -> bool | None:
    if choice is None or choice.disable_parallel_tool_use is None:
        return None
    return not choice.disable_parallel_tool_use


# The rest.


def _stop(stop: list[str] | None) -> tuple[str, ...]:
    if stop and (len(stop) > MAX_STOPS or max(map(len, stop)) > MAX_STOP_CHARS):
        message = f"stop_sequences may name {MAX_STOPS} sequences of at most {MAX_STOP_CHARS} characters each"
        raise InvalidRequest(message, param="stop_sequences")
    named = enumerate(stop or ())
    return tuple(clean(sequence, f"stop_sequences[{position}]") for position, sequence in named if sequence)


def _reasoning(fields: types.Body) -> ReasoningOptions | None:
    """Return how much is to be thought: the effort that is named, else what the budget stands for.

    Thinking that is switched off, as it is by default, is no wish at all: other vendors' models would refuse it.
    """
    thinking = fields.thinking
    effort = fields.output_config.effort if fields.output_config else None
    if thinking is not None and thinking.type not in _THINKS:
        return None
    if effort is not None:
        return ReasoningOptions(known(EFFORTS, effort, "output_config.effort"))
    if thinking is None:
        return None
    return ReasoningOptions(effort_of(thinking.budget_tokens) if thinking.budget_tokens else None)


def _echo(thinking: types.Thinking | None) -> dict[str, Raw]:
    """Return what of thinking is to be shown: nothing to those who did not ask for it."""
    if thinking is None or thinking.type not in _THINKS:
        return {}
    shown = (THINKING, OMITTED) if thinking.display == "omitted" else (THINKING,)
    return dict.fromkeys(shown, Raw(b"true"))


def _output_format(fields: types.Body) -> OutputFormat | None:
    config = fields.output_config
    wanted, path = fields.output_format, "output_format"
    if config is not None and config.format is not None:
        wanted, path = config.format, "output_config.format"
    if wanted is None:
        return None
    if wanted.type != "json_schema":
        message = f"{path}.type is {wanted.type!r}: only json_schema is known"
        raise InvalidRequest(message, param=f"{path}.type")
    return OutputFormat("json_schema", None, required(given(wanted.schema), f"{path}.schema"), True)
