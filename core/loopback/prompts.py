"""What the simulated model reads in the messages of a turn: its directive, the tools it may call, what was asked last.

The tools and the wanted form of the answer are read from the text alone, as a model would: no code is shared with
whatever wrote them. The first system message that shows a call's tag tells of the tools.
"""

import json
import re
from collections.abc import Sequence

from msgspec import Struct

from core.loopback.directives import find_directive
from core.loopback.messages import SentMessage
from core.loopback.samples import Schema

_TAG = re.compile(r'<(call_[0-9a-f]{6}) name="TOOL_NAME">')
_FORCED = re.compile(r"\bMUST call (?:the tool '(?P<name>[^'\n]+)'|at least one tool)")
_HEADING = re.compile(r"^## (?P<name>\S+)(?P<custom> \(free text\))?$", re.MULTILINE)
_PARAMETERS = re.compile(r"^Parameters \(JSON Schema\): ", re.MULTILINE)
_FORMAT = re.compile(r"^Answer with one JSON (?:value|object) and nothing else", re.MULTILINE)
_FORMAT_SCHEMA = re.compile(r"JSON Schema:\s*")
_RESULT = re.compile(
    r'^<tool_result tool="(?P<tool>[^"\n]*)"[^>\n]*>\n(?P<body>.*?)\n?</tool_result>',
    re.MULTILINE | re.DOTALL,
)
_REMINDER = re.compile(r"^\(Reminder: .*\)$", re.MULTILINE)
_DECODER = json.JSONDecoder()


class OfferedTool(Struct, frozen=True):
    """A tool of the prompt. `schema` describes its arguments; a custom tool, which takes free text, has none."""

    name: str
    schema: Schema | None


class Result(Struct, frozen=True):
    """What a tool answered."""

    tool: str
    body: str


class Prompt(Struct, frozen=True):
    """What a turn asks for. `script` is the directive's JSON text, "" when there is none.

    `round` counts the turns of tool results since the message with the directive. `text` is the last user message
    without the reminders in it, `results` what the tools answered if that is what came last. `forced` names the tool
    that must be called, when one is named. `wanted` is the schema of the answer, `{}` for any JSON object, `None` for
    free text. `files` describes what was attached to the last user message.
    """

    script: str = ""
    round: int = 0
    text: str = ""
    results: tuple[Result, ...] = ()
    tag: str = ""
    tools: tuple[OfferedTool, ...] = ()
    forced: str = ""
    must_call: bool = False
    wanted: Schema | None = None
    files: tuple[str, ...] = ()


class TextMessage(Struct, frozen=True):
    """A message as the simulated model reads it: its text, and what was attached to it."""

    role: str
    text: str
    files: tuple[str, ...] = ()


def read_prompt(messages: Sequence[SentMessage]) -> Prompt:
    """Return what the messages of a turn ask for; raise `Refused` 400 for a directive that is none."""
    return read_texts([_as_text(message) for message in messages])


def read_texts(messages: Sequence[TextMessage]) -> Prompt:
    """Return what texts ask for; raise `Refused` 400 for a directive that is none."""
    script, count = _directive(messages)
    instructions = next((text for text in _texts(messages, "system") if instructs(text)), "")
    tag = _TAG.search(instructions)
    forced = _FORCED.search(instructions) if tag else None
    return Prompt(
        script=script,
        round=count,
        text=_REMINDER.sub("", next(reversed(_texts(messages, "user")), "")).strip(),
        results=_last_results(messages),
        tag=tag[1] if tag else "",
        tools=_tools(instructions) if tag else (),
        forced=(forced["name"] or "") if forced else "",
        must_call=forced is not None,
        wanted=_wanted(instructions),
        files=_attached(messages),
    )


def instructs(text: str) -> bool:
    """Say whether a system message tells of tools, or of the form that the answer is to have."""
    return bool(_TAG.search(text) or _FORMAT.search(text))


def _as_text(message: SentMessage) -> TextMessage:
    files = tuple(file.described() for file in message.files()) if message.author.role == "user" else ()
    return TextMessage(message.author.role, message.text(), files)


def _attached(messages: Sequence[TextMessage]) -> tuple[str, ...]:
    return next((message.files for message in reversed(messages) if message.role == "user"), ())


def _texts(messages: Sequence[TextMessage], role: str) -> list[str]:
    return [message.text for message in messages if message.role == role]


def _directive(messages: Sequence[TextMessage]) -> tuple[str, int]:
    """Return the last directive and how many turns of tool results came after it: several at once are one turn.

    What a tool answered is never a directive.
    """
    count, in_results = 0, False
    for message in reversed(messages):
        text = message.text if message.role == "user" else ""
        if script := find_directive(_RESULT.sub("", text)):
            return script, count
        has_results = _RESULT.search(text) is not None
        count += has_results and not in_results
        in_results = has_results
    return "", count


def _last_results(messages: Sequence[TextMessage]) -> tuple[Result, ...]:
    found: list[Result] = []
    for message in reversed(messages):
        results = [Result(match["tool"], match["body"]) for match in _RESULT.finditer(message.text)]
        if message.role != "user" or not results:
            break
        found = results + found
    return tuple(found)


def _tools(instructions: str) -> tuple[OfferedTool, ...]:
    """Return the tools in order. A heading inside a description is none: a tool ends with its parameters."""
    tools: list[OfferedTool] = []
    position = 0
    while heading := _HEADING.search(instructions, position):
        position = heading.end()
        if heading["custom"]:
            tools.append(OfferedTool(heading["name"], None))
        elif parameters := _PARAMETERS.search(instructions, position):
            schema, position = _json_at(instructions, parameters.end())
            tools.append(OfferedTool(heading["name"], schema))
    return tuple(tools)


def _wanted(instructions: str) -> Schema | None:
    """Return the schema that the answer must satisfy; it is told last, behind the tools."""
    asked = list(_FORMAT.finditer(instructions))
    if not asked:
        return None
    schema = _FORMAT_SCHEMA.search(instructions, asked[-1].end())
    return _json_at(instructions, schema.end())[0] if schema else {}


def _json_at(text: str, start: int) -> tuple[Schema, int]:
    """Return the schema at `start` and where it ends; what is none stands for anything."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return {}, start
    return (value if isinstance(value, dict) else {}), end
