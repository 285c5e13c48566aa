"""A generateContent body to the canonical request. Every refusal names its field, as contents[0].parts[1].inlineData.

Which model is meant, and whether its answer is streamed, stands in the URL.
"""

from collections.abc import Iterator, Mapping
from typing import Literal
from urllib.parse import parse_qs

from msgspec import Raw, json, structs

from core.errors import InvalidRequest
from core.json_body import NULL, clean, decode, given, known, missing, read_top
from core.request import ChatRequest, Hints, OutputFormat, ReasoningOptions, Tool, ToolChoice
from core.wire.gemini import types
from core.wire.gemini.contents import Contents, items_of
from core.wire.gemini.schemas import json_schema
from core.wire.gemini.spelling import camel, fields_of, respelled
from core.wire.gemini.thinking import LEVELS, effort_of

ALT = "alt"
"""In `echo`: the stream is wanted as one JSON array, the form without `alt=sse`."""
THOUGHTS = "includeThoughts"
"""In `echo`: thoughts are wanted in the answer."""

CONFIG, TOOL_CONFIG = "generationConfig", "toolConfig"
"""Extras of these objects are named with a dot, as `generationConfig.topK`."""

MAX_STOPS, MAX_STOP_CHARS = 16, 500

_READ = frozenset({"contents", "systemInstruction", "tools", TOOL_CONFIG, CONFIG, "cachedContent", "model"})
_MODES: Mapping[str, Literal["auto", "none", "required"]] = {
    "AUTO": "auto",
    "VALIDATED": "auto",
    "MODE_UNSPECIFIED": "auto",
    "NONE": "none",
    "ANY": "required",
}
_HINTS = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "codeExecution": "code_interpreter",
}
_JSON, _PLAIN = "application/json", "text/plain"
_MODALITIES = ("TEXT", "IMAGE", "MODALITY_UNSPECIFIED")
_DECLARATION_FIELDS = types.names_of(types.FunctionDeclaration)
_CONFIG_FIELDS = types.names_of(types.Config)

_CONFIG = json.Decoder(types.Config)
_THINKING = json.Decoder(types.ThinkingConfig)
_DECLARATION = json.Decoder(types.FunctionDeclaration)
_CALLING = json.Decoder(types.FunctionCallingConfig)


def parse_request(body: bytes, stream: bool) -> ChatRequest:
    """Raise `InvalidRequest` or `Unsupported`, naming the field, when the body is not understood."""
    top = {camel(name): value for name, value in read_top(body).items()}
    contents = given(top.get("contents", NULL))
    if contents is None:
        raise missing("contents")
    reader = Contents()
    instruction = reader.instruction(top.get("systemInstruction", NULL))
    messages = (*instruction, *reader.messages(contents))
    offered = _Offer(given(top.get("tools", NULL)))
    tools, choice, calling_extras = _choice(offered.tools, given(top.get(TOOL_CONFIG, NULL)))
    extras = {name: value for name, value in top.items() if name not in _READ and given(value)}
    request = ChatRequest(
        model="auto",
        messages=messages,
        stream=stream,
        tools=tools,
        tool_choice=choice,
        hints=offered.hints,
        extras={**extras, **calling_extras},
        ignored=(*reader.ignored, *offered.ignored),
        relay_only=(*_cached(top), *reader.relay_only, *offered.relay_only),
    )
    config = given(top.get(CONFIG, NULL))
    return request if config is None else _configured(request, config)


def parse_count(body: bytes) -> ChatRequest:
    """Return what a countTokens body asks about: `contents`, or a whole `generateContentRequest`."""
    top = {camel(name): value for name, value in read_top(body).items()}
    whole = given(top.get("generateContentRequest", NULL))
    return parse_request(body if whole is None else bytes(whole), stream=False)


def read_query(request: ChatRequest, query: str) -> ChatRequest:
    """Return the request with the form that the URL wants a stream in: `alt=sse`, or else a JSON array."""
    named = parse_qs(query)
    alt = next((named[name][-1] for name in ("alt", "$alt") if name in named), "json")
    if alt not in ("json", "sse"):
        raise InvalidRequest(f"alt is {alt!r:.80}, which is not among: json, sse", param=ALT)
    if alt == "sse" or not request.stream:
        return request
    return structs.replace(request, echo={**request.echo, ALT: Raw(b'"json"')})


def _cached(top: Mapping[str, Raw]) -> tuple[tuple[str, str], ...]:
    if given(top.get("cachedContent", NULL)) is None:
        return ()
    return (("cachedContent", "cachedContent: no contents are kept here; send the contents themselves"),)


# Generation config.


def _configured(request: ChatRequest, value: Raw) -> ChatRequest:
    fields = fields_of(value, CONFIG)
    config = decode(_CONFIG, respelled(value, CONFIG), CONFIG)
    reasoning, shows_thoughts = _reasoning(config)
    unread = {f"{CONFIG}.{name}": each for name, each in fields.items() if name not in _CONFIG_FIELDS and given(each)}
    return structs.replace(
        request,
        temperature=config.temperature,
        top_p=config.top_p,
        max_output_tokens=config.max_output_tokens,
        stop=_stop(config.stop_sequences),
        reasoning=reasoning,
        output_format=_output_format(config),
        hints=_with_pictures(request.hints, config.response_modalities),
        echo={**request.echo, **({THOUGHTS: Raw(b"true")} if shows_thoughts else {})},
        extras={**request.extras, **unread},
        relay_only=(*request.relay_only, *_relay_only(config)),
    )


def _relay_only(config: types.Config) -> Iterator[tuple[str, str]]:
    """Yield what only Gemini itself can do."""
    if config.candidate_count is not None and config.candidate_count > 1:
        path = f"{CONFIG}.candidateCount"
        yield path, f"{path} is {config.candidate_count}: one candidate is given for each request here"
    if config.response_logprobs:
        path = f"{CONFIG}.responseLogprobs"
        yield path, f"{path}: no log probabilities are available here"
    if config.response_mime_type not in (None, _JSON, _PLAIN):
        path = f"{CONFIG}.responseMimeType"
        yield path, f"{path} is {config.response_mime_type!r:.80}, which is not among: {_PLAIN}, {_JSON}"
    for name in config.response_modalities or ():
        if name.upper() not in _MODALITIES:
            path = f"{CONFIG}.responseModalities"
            yield path, f"{path} names {name!r:.80}, which is not among: {', '.join(_MODALITIES)}"


def _reasoning(config: types.Config) -> tuple[ReasoningOptions | None, bool]:
    """Return how much is to be thought, and whether the thoughts are to be shown."""
    path = f"{CONFIG}.thinkingConfig"
    value = given(config.thinking_config)
    if value is None:
        return None, False
    thinking = decode(_THINKING, respelled(value, path), path)
    effort = None if thinking.thinking_budget is None else effort_of(thinking.thinking_budget)
    if thinking.thinking_level is not None:
        effort = known(LEVELS, thinking.thinking_level.lower(), f"{path}.thinkingLevel") or effort
    shown = bool(thinking.include_thoughts)
    return ReasoningOptions(effort, "auto" if shown else None), shown


def _output_format(config: types.Config) -> OutputFormat | None:
    """Return the form of the answer. Others than JSON are Gemini's own."""
    own, standard = given(config.response_schema), given(config.response_json_schema)
    if config.response_mime_type != _JSON:
        if (own or standard) and config.response_mime_type in (None, _PLAIN):
            path = f"{CONFIG}.responseMimeType"
            raise InvalidRequest(f"{path} must be {_JSON!r} when a schema is given", param=path)
        return None
    if own is None and standard is None:
        return OutputFormat("json_object")
    schema = standard or json_schema(own or NULL, f"{CONFIG}.responseSchema")
    return OutputFormat("json_schema", None, schema)


def _stop(sequences: list[str] | None) -> tuple[str, ...]:
    path = f"{CONFIG}.stopSequences"
    if sequences and (len(sequences) > MAX_STOPS or max(map(len, sequences)) > MAX_STOP_CHARS):
        message = f"{path} may name {MAX_STOPS} sequences of at most {MAX_STOP_CHARS} characters each"
        raise InvalidRequest(message, param=path)
    return tuple(clean(each, f"{path}[{position}]") for position, each in enumerate(sequences or ()) if each)


def _with_pictures(hints: Hints, modalities: list[str] | None) -> Hints:
    """Return the hints, with pictures if the answer may hold some."""
    wants_pictures = "IMAGE" in (name.upper() for name in modalities or ())
    return structs.replace(hints, image_generation=True) if wants_pictures else hints


# Tools.


class _Offer:
    """What `tools` offers: functions, what the model's own service does, and what only Gemini has."""

    def __init__(self, value: Raw | None) -> None:
        self._functions: list[Tool] = []
        self._hints: dict[str, bool] = {}
        self.ignored: list[str] = []
        self.relay_only: list[tuple[str, str]] = []
        for position, item in enumerate(items_of(value, "tools") if value is not None else ()):
            self._take(item, f"tools[{position}]")

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(self._functions)

    @property
    def hints(self) -> Hints:
        return Hints(**self._hints)

    def _take(self, item: Raw, path: str) -> None:
        for name, value in fields_of(item, path).items():
            if given(value) is None:
                continue
            if name == "functionDeclarations":
                declared = enumerate(items_of(value, f"{path}.{name}"))
                self._functions += (self._function(each, f"{path}.{name}[{place}]") for place, each in declared)
            elif name in _HINTS:
                self._hints[_HINTS[name]] = True
            else:
                known_names = ", ".join(("functionDeclarations", *_HINTS))
                why = f"{path}.{name} is a tool of Gemini's own service; here there are: {known_names}"
                self.relay_only.append((f"{path}.{name}", why))

    def _function(self, item: Raw, path: str) -> Tool:
        fields = fields_of(item, path)
        declared = decode(_DECLARATION, respelled(item, path), path)
        if not declared.name:
            raise InvalidRequest(f"{path}.name is empty", param=f"{path}.name")
        self.ignored += (f"{path}.{name}" for name in fields if name not in _DECLARATION_FIELDS)
        own = given(declared.parameters)
        schema = given(declared.parameters_json_schema) or (own and json_schema(own, f"{path}.parameters"))
        return Tool(clean(declared.name, f"{path}.name"), "function", declared.description, schema)


def _choice(tools: tuple[Tool, ...], value: Raw | None) -> tuple[tuple[Tool, ...], ToolChoice, dict[str, Raw]]:
    """Return the tools that may be called, how they are to be chosen, and what else the config says."""
    if value is None:
        return tools, ToolChoice("auto"), {}
    fields = fields_of(value, TOOL_CONFIG)
    calling = given(fields.pop("functionCallingConfig", NULL))
    extras = {f"{TOOL_CONFIG}.{name}": each for name, each in fields.items() if given(each)}
    if calling is None:
        return tools, ToolChoice("auto"), extras
    path = f"{TOOL_CONFIG}.functionCallingConfig"
    config = decode(_CALLING, respelled(calling, path), path)
    mode = known(_MODES, (config.mode or "AUTO").upper(), f"{path}.mode")
    names = config.allowed_function_names or []
    if unknown := set(names) - {tool.name for tool in tools}:
        where = f"{path}.allowedFunctionNames"
        raise InvalidRequest(f"{where} names {min(unknown)!r}, which is not among the tools", param=where)
    if mode == "required" and len(names) == 1:
        return tools, ToolChoice("named", names[0]), extras
    return tuple(tool for tool in tools if not names or tool.name in names), ToolChoice(mode), extras
