"""What the simulated model says: what its directive tells it, or else something fitting, always the same.

The fitting answer to tools is a call of the one that must be called, or the first, with arguments made from its
schema; to a tool's result a sentence that quotes it; to a schema a value made from it.
"""

import json
import re

from msgspec import Raw

from core.loopback.directives import Call, Directive
from core.loopback.prompts import OfferedTool, Prompt, Result
from core.loopback.refusals import Refused
from core.loopback.samples import sample

TAG_MARK = "{{tag}}"
"""What stands in a directive's `text` for the tag of a call."""

_REPEAT = re.compile(r"Repeat\b[^\n]*\bexactly\b[^\n]*\n\n(?P<text>.*)", re.DOTALL)
_FIRST_WORDS = 5
_QUOTED_CHARS = 500


def answer(directive: Directive, prompt: Prompt) -> str:
    """Return the text to say. Raises `Refused` 400 when calls are scripted and the prompt offers no tools."""
    if directive.calls and not prompt.tag:
        raise Refused(400, {"detail": "loopback directive: calls need tools, and this prompt offers none"})
    calls = "\n".join(_call(prompt.tag, call.name, call.between()) for call in directive.calls)
    return _text(directive, prompt) * directive.repeat + calls


def plain_answer(prompt: Prompt) -> str:
    """Return the deterministic answer to a prompt without directive."""
    if prompt.tools and (prompt.must_call or not prompt.results):
        return _fitting_call(prompt)
    if prompt.wanted is not None:
        return _fitting_json(prompt)
    return _sentence(prompt)


def spoken(directive: Directive, prompt: Prompt) -> tuple[str, tuple[Call, ...]]:
    """Return what a model that has function calling of its own says: the text, and the calls apart from it.

    Raises `Refused` 400 when calls are scripted and the prompt offers no tools.
    """
    if directive.calls and not prompt.tools:
        raise Refused(400, {"detail": "loopback directive: calls need tools, and this prompt offers none"})
    if directive.calls or directive.text is not None:
        return (directive.text or "") * directive.repeat, directive.calls
    if prompt.tools and (prompt.must_call or not prompt.results):
        tool = _called_tool(prompt)
        body = _fitting_call_body(tool)
        return "", (
            Call(tool.name, input=body.strip()) if tool.schema is None else Call(tool.name, Raw(body.encode())),
        )
    text = _fitting_json(prompt) if prompt.wanted is not None else _sentence(prompt)
    return text * directive.repeat, ()


def _text(directive: Directive, prompt: Prompt) -> str:
    if directive.text is None:
        return "" if directive.calls else plain_answer(prompt)
    return directive.text.replace(TAG_MARK, prompt.tag) if prompt.tag else directive.text


def _fitting_call(prompt: Prompt) -> str:
    tool = _called_tool(prompt)
    return _call(prompt.tag, tool.name, _fitting_call_body(tool))


def _called_tool(prompt: Prompt) -> OfferedTool:
    return next((tool for tool in prompt.tools if tool.name == prompt.forced), prompt.tools[0])


def _fitting_call_body(tool: OfferedTool) -> str:
    if tool.schema is None:
        return Call(tool.name, input=f"input of {tool.name}").between()
    arguments = sample(tool.schema)
    return _written(arguments if isinstance(arguments, dict) else {})


def _fitting_json(prompt: Prompt) -> str:
    return _written(sample(prompt.wanted) if prompt.wanted else {"answer": _sentence(prompt)})


def _sentence(prompt: Prompt) -> str:
    """Quote what came last. "Say X" is answered "X", and what is to be repeated is."""
    if prompt.results:
        told = ", ".join(_quoted(result) for result in prompt.results)
        return f"This is the loopback upstream of Isthmus, no model: {told}.{_files(prompt)}"
    if prompt.text.startswith("Say "):
        words = prompt.text.removeprefix("Say ")
        return words[0].upper() + words[1:]
    if repeated := _REPEAT.match(prompt.text):
        return repeated["text"]
    first_words = " ".join(prompt.text.split()[:_FIRST_WORDS])
    return f'This is the loopback upstream of Isthmus, no model: your message begins "{first_words}".{_files(prompt)}'


def _files(prompt: Prompt) -> str:
    return f" With it came: {', '.join(prompt.files)}." if prompt.files else ""


def _quoted(result: Result) -> str:
    return f'{result.tool} answered "{result.body[:_QUOTED_CHARS]}"'


def _call(tag: str, name: str, between: str) -> str:
    return f'<{tag} name="{name}">{between}</{tag}>'


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
