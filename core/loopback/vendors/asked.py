"""What a request asks of a simulated vendor, whatever format it came in, and the directive that scripts the answer."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from core.loopback.directives import Directive, choose_attempt, choose_round, find_directive, parse_directive
from core.loopback.prompts import OfferedTool, Prompt, Result, TextMessage, instructs, read_texts
from core.loopback.samples import Schema
from core.loopback.world import World

Role: TypeAlias = Literal["system", "user", "assistant", "result"]


class Said(Struct, frozen=True):
    """A message, reduced to its text. `result` is what a tool answered, `tool` its name; `files` came with it."""

    role: Role
    text: str
    tool: str = ""
    files: tuple[str, ...] = ()


class Asked(Struct, frozen=True):
    """A request. `choice` is what it says of the tools, `forced` the one that must be called."""

    model: str
    messages: tuple[Said, ...]
    stream: bool = False
    tools: tuple[OfferedTool, ...] = ()
    choice: Literal["auto", "none", "required"] = "auto"
    forced: str = ""
    wanted: Schema | None = None


def prompt_of(asked: Asked) -> Prompt:
    """Return what the simulated model reads; raise `Refused` 400 for a directive that is none.

    Where no tools are offered, a system message may tell of some in words, as to a model without function calling.
    """
    if not asked.tools and any(message.role == "system" and instructs(message.text) for message in asked.messages):
        return read_texts([TextMessage(message.role, message.text, message.files) for message in asked.messages])
    script, count = _directive(asked.messages)
    users = [message for message in asked.messages if message.role == "user"]
    answered = _last_answered(asked.messages)
    shown = answered or users[-1:]
    return Prompt(
        script=script,
        round=count,
        text=users[-1].text.strip() if users else "",
        results=tuple(Result(message.tool, message.text) for message in answered if message.role == "result"),
        tools=() if asked.choice == "none" else asked.tools,
        forced=asked.forced,
        must_call=asked.choice == "required" or bool(asked.forced),
        wanted=asked.wanted,
        files=tuple(name for message in shown for name in message.files),
    )


def directive_for(world: World, prompt: Prompt) -> Directive:
    """Return what scripts this answer: the round and, when the same request comes again, the attempt."""
    chosen = choose_round(parse_directive(prompt.script), prompt.round)
    if not chosen.attempts:
        return chosen
    return choose_attempt(chosen, world.next_attempt(prompt.script, prompt.round))


def _directive(messages: Sequence[Said]) -> tuple[str, int]:
    """Return the last directive, and how many turns of tool results came after it."""
    count, in_results = 0, False
    for message in reversed(messages):
        if message.role == "user" and (script := find_directive(message.text)):
            return script, count
        is_result = message.role == "result"
        count += is_result and not in_results
        in_results = is_result
    return "", count


def _last_answered(messages: Sequence[Said]) -> tuple[Said, ...]:
    """Return the last results of tools, and what stands behind them as the user's without a word: their pictures."""
    answered: list[Said] = []
    for message in reversed(messages):
        is_picture = message.role == "user" and message.files and not message.text
        if message.role != "result" and not is_picture:
            break
        answered.insert(0, message)
    return tuple(answered) if any(message.role == "result" for message in answered) else ()
