"""A canonical request to a Messages body for Anthropic, or for a vendor that speaks its format.

What this format lacks is named as ignored; content that it has no place for is refused, with its field. The messages
are written by `turns`, the schema of the answer by `schemas`.
"""

from typing import Any, TypeAlias

from msgspec import Raw, Struct, json

from core.continuing import refuse_continued
from core.contracts import Exchange
from core.errors import Unsupported
from core.request import ChatRequest, Effort, Reasoning, ReasoningOptions, Tool, ToolResult
from core.tool_names import Names
from core.wire.anthropic import thinking
from core.wire.anthropic.opaque import WIRE, Seal, seal_of
from core.wire.anthropic.schemas import adapted, arguments_schema
from core.wire.anthropic.turns import system_blocks, turns

Object: TypeAlias = dict[str, Any]

MAX_TOKENS = 32_000
"""Asked for where the client names no limit, on which Anthropic insists: what every model since 4.0 can give."""
MAX_TOKENS_BEFORE_4 = 4096
MAX_TOKENS_UNKNOWN = 8192

FREE_TEXT: Object = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as free text."}},
    "required": ["input"],
}
"""The arguments of a custom tool, for which this format has no kind of its own."""

_SHARED_EXTRAS = ("top_k",)
"""Extra fields that mean the same in other dialects (JR-3)."""


class Built(Struct, frozen=True):
    """A request's body, what of the request it does not carry, and what its tools are called in it."""

    body: bytes
    ignored: tuple[str, ...]
    names: Names


class _Knobs:
    """Collects the tuning fields of one body, and the names of what cannot be sent."""

    def __init__(self, request: ChatRequest, model: str) -> None:
        self.fields: Object = {}
        self.ignored: list[str] = []
        self._request = request
        self._generation = thinking.generation(model)

    def fill(self) -> None:
        self._limit()
        self._think()
        self._sample()
        # Anthropic refuses sequences of nothing but white space (LiteLLM #3286); the gateway sees to all of them.
        if stops := [stop for stop in self._request.stop if stop.strip()]:
            self.fields["stop_sequences"] = stops

    def _limit(self) -> None:
        known = self._generation
        default = MAX_TOKENS_UNKNOWN if known is None else MAX_TOKENS if known >= (4, 0) else MAX_TOKENS_BEFORE_4
        limit = self._request.max_output_tokens
        self.fields["max_tokens"] = default if limit is None else limit

    def _think(self) -> None:
        """Ask for thinking as the model's generation takes it; it goes with no forced call."""
        wanted, known = self._request.reasoning, self._generation
        if wanted is None or (wanted.effort is None and known is None):
            return
        if wanted.effort == "none":
            self.fields["thinking"] = {"type": "disabled"}
        elif known is not None and known >= thinking.FIRST_ADAPTIVE:
            self._think_adaptively(wanted, known)
        elif not self._think_within(wanted.effort or "medium"):
            self.ignored.append("reasoning_effort")

    def _think_adaptively(self, wanted: ReasoningOptions, known: thinking.Generation) -> None:
        if not _is_forced(self._request):
            # The newest models show nothing of their thoughts unless they are asked to.
            shown = {"display": "summarized"} if wanted.summary else {}
            self.fields["thinking"] = {"type": "adaptive", **shown}
        if wanted.effort is not None:
            self.fields["output_config"] = {"effort": thinking.effort_word(wanted.effort, known)}

    def _think_within(self, effort: Effort) -> bool:
        """Ask for thinking with a budget, which is a part of `max_tokens`; say whether that could be done."""
        budget = min(thinking.BUDGETS.get(effort, 0), self.fields["max_tokens"] - 1)
        too_old = self._generation is not None and self._generation < thinking.FIRST_THINKING
        if too_old or budget < thinking.SMALLEST_BUDGET or _is_forced(self._request) or _lacks_thoughts(self._request):
            return False
        self.fields["thinking"] = {"type": "enabled", "budget_tokens": budget}
        return True

    def _sample(self) -> None:
        """Set temperature and top_p where the model takes them: not while it thinks, one of them, none from 4.7 on."""
        request, known = self._request, self._generation
        thinks = self.fields.get("thinking", {}).get("type") in ("enabled", "adaptive")
        refuses = thinks or (known is not None and known >= thinking.FIRST_WITHOUT_SAMPLING)
        only_one = known is not None and known >= thinking.FIRST_EITHER_SAMPLING
        temperature, top_p = request.temperature, request.top_p
        if temperature is not None:
            self._set("temperature", temperature, refuses or temperature > 1)
        if top_p is not None:
            self._set("top_p", top_p, refuses or (only_one and "temperature" in self.fields))

    def _set(self, name: str, value: float, refused: bool) -> None:
        if refused:
            self.ignored.append(name)
        else:
            self.fields[name] = value


def build_request(exchange: Exchange) -> Built:
    """Return the body of a streamed request. Raises `Unsupported`, naming the field."""
    request, target = exchange.request, exchange.target
    _refuse(request, target.upstream.name)
    knobs = _Knobs(request, target.model)
    knobs.fill()
    extras, ignored = _extras(exchange)
    names = Names(request)
    fields: Object = {**extras, "model": target.model, "stream": True, **knobs.fields}
    if system := system_blocks(request):
        fields["system"] = system
    fields["messages"] = turns(request, names)
    fields.update(_tools(request, names))
    if request.output_format is not None and request.output_format.kind != "text":
        wanted = adapted(request.output_format)
        if wanted is None:
            ignored = (*ignored, "response_format")
        else:
            config = {"format": {"type": "json_schema", "schema": wanted}}
            fields["output_config"] = {**fields.get("output_config", {}), **config}
    return Built(json.encode(fields), (*knobs.ignored, *ignored, *request.ignored), names)


def count_body(body: bytes) -> bytes:
    """Return the body that asks for a count of a request's tokens: what bears on the answer alone is left out."""
    fields = json.decode(body, type=dict[str, Raw])
    return json.encode({name: value for name, value in fields.items() if name in _COUNTED})


_COUNTED = frozenset({"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"})


def _refuse(request: ChatRequest, upstream: str) -> None:
    refuse_continued(request, upstream)
    if request.hints.image_generation or request.hints.deep_research:
        name = "image generation" if request.hints.image_generation else "deep research"
        raise Unsupported(f"{upstream} offers no {name} here", param="model")


def _extras(exchange: Exchange) -> tuple[Object, tuple[str, ...]]:
    """Return what passes as it came, if the client spoke this format, and the names of what does not."""
    request = exchange.request
    hints = ["code_interpreter"] if request.hints.code_interpreter else []
    if exchange.dialect.name == WIRE:
        return dict(request.extras), tuple(hints)
    known = thinking.generation(exchange.target.model)
    shared = _SHARED_EXTRAS if known is None or known < thinking.FIRST_WITHOUT_SAMPLING else ()
    passed: Object = {name: value for name, value in request.extras.items() if name in shared}
    return passed, (*hints, *(name for name in request.extras if name not in passed))


def _is_forced(request: ChatRequest) -> bool:
    return bool(request.tools) and request.tool_choice.mode in ("required", "named")


def _lacks_thoughts(request: ChatRequest) -> bool:
    """Say whether a round of calls is under way whose thoughts are not at hand: then Anthropic allows no new ones."""
    if not request.messages or not any(isinstance(part, ToolResult) for part in request.messages[-1].parts):
        return False
    answers = [message for message in request.messages if message.role == "assistant"]
    kept = (part for part in (answers[-1].parts if answers else ()) if isinstance(part, Reasoning))
    return all(seal_of(part.opaque) == Seal() for part in kept)


# Tools.


def _tools(request: ChatRequest, names: Names) -> Object:
    tools: list[Object] = [_tool(tool, names) for tool in request.tools]
    if request.hints.web_search:
        tools.append({"type": "web_search_20250305", "name": "web_search"})
    if not tools:
        return {}
    choice = _choice(request, names) if request.tools else None
    return {"tools": tools, **({"tool_choice": choice} if choice else {})}


def _tool(tool: Tool, names: Names) -> Object:
    description = tool.description
    schema = arguments_schema(tool.parameters)
    if tool.kind == "custom":
        schema = FREE_TEXT
        description = "\n\n".join(filter(None, (description, _grammar(tool))))
    described = {"description": description} if description else {}
    return {"name": names.sent(tool.name), **described, "input_schema": schema}


def _grammar(tool: Tool) -> str:
    return f"The input must follow this grammar:\n{tool.grammar}" if tool.grammar else ""


def _choice(request: ChatRequest, names: Names) -> Object | None:
    """Return the choice (OM-5). `none` is said in so many words: without them Anthropic's default is auto."""
    parallel = request.parallel_tool_calls
    flag = {} if parallel is None else {"disable_parallel_tool_use": not parallel}
    match request.tool_choice.mode:
        case "none":
            return {"type": "none"}
        case "required":
            return {"type": "any", **flag}
        case "named":
            return {"type": "tool", "name": names.sent(request.tool_choice.name or ""), **flag}
        case "auto":
            return {"type": "auto", **flag} if flag else None
