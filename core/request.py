"""The canonical request: what every dialect is parsed into and every upstream is built from.

Values only: no vendor names, no I/O. Collections are tuples. JSON that nobody here reads stays
`msgspec.Raw`; JSON text that is relayed (tool arguments) stays the `str` that was produced.
"""

from typing import Literal, TypeAlias

from msgspec import Raw, Struct

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
ToolKind: TypeAlias = Literal["function", "custom"]
OutputKind: TypeAlias = Literal["text", "json_object", "json_schema"]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Opaque(Struct, frozen=True):
    """Bytes that mean something to one vendor only; echoed to the same wire format, dropped elsewhere."""

    wire: str
    data: bytes


class Text(Struct, frozen=True, tag="text"):
    text: str


class StoredFile(Struct, frozen=True, omit_defaults=True):
    """A file that an upstream keeps: its own name for it there, and the digest of the account it is in.

    `conversation_id` is that of the turn that made it; `message_id` and `path` are set for a file in the sandbox of a
    code interpreter. `size` is in bytes, `created` in Unix seconds, `width` and `height` of a picture in pixels; what
    nobody said is `None`.
    """

    id: str
    account: str | None = None
    name: str | None = None
    media_type: str | None = None
    size: int | None = None
    created: int | None = None
    purpose: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    path: str | None = None
    width: int | None = None
    height: int | None = None


class Image(Struct, frozen=True, tag="image"):
    """An image by reference: one of `url` and `file_id` (an id of ours) is set.

    `url` is http or `data:`, or base64 text alone. `stored` is what `file_id` names: intake reads it from the signed
    id. `where` is the field of the client's request that holds the reference, for errors.
    """

    url: str | None = None
    file_id: str | None = None
    detail: str | None = None
    stored: StoredFile | None = None
    where: str = ""


class File(Struct, frozen=True, tag="file"):
    """A document by reference: one of `file_id`, `url` or `data` (a `data:` URL or base64 text) is set.

    `stored` is what `file_id` names: intake reads it from the signed id. `where` is the field of the client's request
    that holds the reference, for errors.
    """

    file_id: str | None = None
    url: str | None = None
    data: str | None = None
    filename: str | None = None
    stored: StoredFile | None = None
    where: str = ""


class Audio(Struct, frozen=True, tag="audio"):
    """Sound as base64, and what its format is called (`wav`, `mp3`). `where` is as in `Image`."""

    data: str
    format: str
    where: str = ""


class Reasoning(Struct, frozen=True, tag="reasoning"):
    text: str
    opaque: Opaque | None = None


class ToolCall(Struct, frozen=True, tag="tool_call"):
    """A call the model made. `arguments` is the text as produced: JSON for functions, free text for custom tools."""

    id: str
    name: str
    arguments: str
    kind: ToolKind = "function"


class ToolResult(Struct, frozen=True, tag="tool_result"):
    call_id: str
    content: tuple[Text | Image | File, ...]
    name: str | None = None
    is_error: bool = False


Part: TypeAlias = Text | Image | File | Audio | Reasoning | ToolCall | ToolResult


class Message(Struct, frozen=True):
    """What one role says. `phase` labels the text of an assistant: `commentary` on its way, or its `final_answer`.

    It is a label and no content: an upstream that has none goes without.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    phase: str | None = None


NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
"""The schema of a function's arguments where a vendor insists on one and the client gave none."""


class Tool(Struct, frozen=True):
    """A tool the caller offers. `parameters` is its JSON Schema, `grammar` the text of a custom tool's grammar,
    in Lark's language unless `syntax` names another (`regex`).

    `namespace` is the group it was offered in; then `name` is `namespace.name`, so that names stay apart.
    """

    name: str
    kind: ToolKind = "function"
    description: str | None = None
    parameters: Raw | None = None
    strict: bool | None = None
    grammar: str | None = None
    syntax: str | None = None
    namespace: str | None = None

    @property
    def local_name(self) -> str:
        """The name within its namespace."""
        return self.name.removeprefix(f"{self.namespace}.") if self.namespace else self.name


class ToolChoice(Struct, frozen=True):
    """`named` carries `name`; the other modes do not."""

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None


class ReasoningOptions(Struct, frozen=True):
    effort: Effort | None = None
    summary: str | None = None


class OutputFormat(Struct, frozen=True):
    kind: OutputKind
    name: str | None = None
    schema: Raw | None = None
    strict: bool | None = None


class Hints(Struct, frozen=True):
    """The gateway's own switches for what the upstream itself can do during a turn."""

    web_search: bool = False
    image_generation: bool = False
    code_interpreter: bool = False
    deep_research: bool = False


class ImageOptions(Struct, frozen=True):
    """How pictures are to be made; `None` means that the caller did not say.

    `count` is how many are asked for (1 to 10). `mask` marks what an edit may change. `delivery` says whether the
    answer holds the picture's bytes or a link to it. `previews` is how many coarser pictures to show on the way.
    `required` says that an answer without a picture is a failure: the Images API has no place for a mere text.
    The words of `size` (`1024x1024`), `quality`, `style`, `background` and `output_format` are the client's.
    """

    count: int = 1
    size: str | None = None
    quality: str | None = None
    style: str | None = None
    background: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    input_fidelity: str | None = None
    moderation: str | None = None
    previews: int | None = None
    mask: Image | None = None
    delivery: Literal["inline", "link"] = "inline"
    required: bool = False


class Turn(Struct, frozen=True):
    """Where the upstream has a turn: the conversation and a message of it, and the digest of the account it is in.

    `kept` says that it stays there, so that a later request can go on from it.
    """

    conversation_id: str
    message_id: str | None = None
    account: str | None = None
    kept: bool = False


class ChatRequest(Struct, frozen=True):
    """One turn of a conversation.

    `include_usage` says whether the answer must carry token counts (a stream's may be left out).
    `store` is the caller's wish to keep the turn upstream, `None` when not said.
    `continues` is an upstream turn the caller wants to go on from; then `messages` are only the new ones.
    `image` says how pictures are to be made, if the turn is to make any (`hints.image_generation`).
    `previous` is a signed id of ours that names such a turn; intake turns it into `continues`. `previous_where` is the
    field of the client's request that holds it, for errors.
    `relay_only` names, as (field, why), what can be had only where the body passes as it is; elsewhere it is refused.
    `extras` holds top-level fields we do not read, verbatim, by their own name; `ignored` names parts of the request
    that the dialect had to leave out; `echo` holds what the dialect repeats in its answer.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = True
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice("auto")
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    reasoning: ReasoningOptions | None = None
    output_format: OutputFormat | None = None
    hints: Hints = Hints()
    image: ImageOptions | None = None
    store: bool | None = None
    continues: Turn | None = None
    previous: str | None = None
    previous_where: str = "previous_response_id"
    relay_only: tuple[tuple[str, str], ...] = ()
    extras: dict[str, Raw] = {}
    ignored: tuple[str, ...] = ()
    echo: dict[str, Raw] = {}
