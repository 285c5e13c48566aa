"""What the simulated model says: what its directive tells it, or else something fitting, always the same.

The fitting answer to tools is a call of the one that must be called, or the first, with arguments made from its
schema; to a tool's result a sentence that quotes it; to a schema a value made from it.
"""

import json

from core.loopback.directives import Call, Directive
from core.loopback.prompts import OfferedTool, Prompt, Result
from core.loopback.refusals import Refused
from core.loopback.samples import sample

TAG_MARK = "{{tag}}"
"""What stands in a directive's `text` for the tag of a call."""

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


def _text(directive: Directive, prompt: Prompt) -> str:
    if directive.text is None:
        return "" if directive.calls else plain_answer(prompt)
    return directive.text.replace(TAG_MARK, prompt.tag) if prompt.tag else directive.text


def _fitting_call(prompt: Prompt) -> str:
    tool = next((tool for tool in prompt.tools if tool.name == prompt.forced), prompt.tools[0])
    return _call(prompt.tag, tool.name, _fitting_call_body(tool))


def _fitting_call_body(tool: OfferedTool) -> str:
    if tool.schema is None:
        return Call(tool.name, input=f"input of {tool.name}").between()
    arguments = sample(tool.schema)
    return _written(arguments if isinstance(arguments, dict) else {})


def _fitting_json(prompt: Prompt) -> str:
    return _written(sample(prompt.wanted) if prompt.wanted else {"answer": _sentence(prompt)})


def _sentence(prompt: Prompt) -> str:
    """Quote what came last. "Say X" is answered "X"."""
    if prompt.results:
        told = ", ".join(_quoted(result) for result in prompt.results)
        return f"This is the loopback upstream of Isthmus, no model: {told}."
    if prompt.text.startswith("Say "):
        words = prompt.text.removeprefix("Say ")
        return words[0].upper() + words[1:]
    first_words = " ".join(prompt.text.split()[:_FIRST_WORDS])
    return f'This is the loopback upstream of Isthmus, no model: your message begins "{first_words}".'


def _quoted(result: Result) -> str:
    return f'{result.tool} answered "{result.body[:_QUOTED_CHARS]}"'


def _call(tag: str, name: str, between: str) -> str:
    return f'<{tag} name="{name}">{between}</{tag}>'


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
