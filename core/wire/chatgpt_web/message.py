"""One message of a turn: its document, the text in it, how it is shown, and how far its text agrees with what was.

What a message is written into, and when, is decided in `answer`. Source: chatgpt-web reference, sections 3.4 to 3.8.
"""

from typing import Any, Literal, TypeAlias

from core.wire.chatgpt_web import document as doc
from core.wire.chatgpt_web.citations import MarkerFilter
from core.wire.chatgpt_web.sandbox import SandboxLinks

Shown: TypeAlias = Literal["text", "reasoning", "code", "output"]
"""As what a message is shown: the answer, or reasoning of some kind; `code` was run, `output` is what it printed."""

CODE_TOOLS = ("python", "python_user_visible")
"""The tools that run code of the model's (section 9)."""

_TEXT_TYPES = ("text", "multimodal_text")
_CODE_TYPES = ("code", "text")
_OUTPUT_TYPE = "execution_output"
_FINISHED = ("finished_successfully", "finished_partial_completion")


class Message:
    """One message of the turn and what of it has been shown.

    `filter` takes the citation markers out of a text, `links` puts links in place of files, where there can be any.
    `earlier` is the message that this one goes on from in the same block. `ahead` is empty unless more was shown than
    the text holds by now: then `catch_up` must be asked what of its growth is new.
    """

    __slots__ = ("_ahead_at", "ahead", "document", "earlier", "filter", "links", "shown")

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.shown: Shown | None = None
        self.filter = MarkerFilter()
        self.links: SandboxLinks | None = None
        self.earlier: Message | None = None
        self.ahead, self._ahead_at = "", 0

    # What was shown.

    def let_through(self, text: str) -> str:
        """Return what of the text so far can be shown, beyond what was returned before."""
        return self.filter.feed(self.links.feed(text) if self.links else text)

    def passes(self, text: str) -> bool:
        """Take a text by which the message's grew and which is shown as it is, if it is one; say whether."""
        return self.shown == "text" and not self.ahead and self.links is None and self.filter.passes(text)

    def let_rest_through(self) -> str:
        """Return what was held back, now that no more text comes."""
        rest = self.filter.feed(self.links.close()) if self.links else ""
        return rest + self.filter.close()

    def adopt(self, cut: "Message") -> None:
        """Go on where another message was cut off, in the same block."""
        self.filter, self.links, self.earlier = cut.filter, cut.links, cut

    def rewind(self, lost: str) -> None:
        """Note that the upstream's text is now shorter by `lost` than what was shown."""
        self.ahead, self._ahead_at = lost + self.ahead[self._ahead_at :], 0

    def catch_up(self, text: str) -> tuple[str, bool]:
        """Return what of `text`, by which the message grew, is new, and whether the rest is what was shown before."""
        if self.ahead.startswith(text, self._ahead_at):
            self._ahead_at += len(text)
            return "", True
        ahead = self.ahead[self._ahead_at :]
        self.ahead, self._ahead_at = "", 0
        return (text[len(ahead) :], True) if text.startswith(ahead) else (text, False)

    # What the document says.

    def ends_with(self, target: Any) -> bool:
        """Say whether `target` is the leaf at the end of the message's text, so that what it grows by is a delta."""
        content = doc.leaf(self.document, "/message/content")
        if not isinstance(target, doc.Rope) or not isinstance(content, dict):
            return False
        if content.get("content_type") == "thoughts":
            thoughts = content.get("thoughts")
            last = thoughts[-1] if isinstance(thoughts, list) and thoughts else None
            return isinstance(last, dict) and last.get("content") is target
        if "text" in content:
            return content["text"] is target
        parts = content.get("parts")
        return isinstance(parts, list) and bool(parts) and parts[-1] is target

    def text(self) -> str:
        content = doc.leaf(self.document, "/message/content")
        if not isinstance(content, dict):
            return ""
        if content.get("content_type") == "thoughts":
            return _thoughts_text(content.get("thoughts"))
        if "text" in content:
            return doc.text_of(content["text"])
        parts = content.get("parts")
        return "".join(map(doc.text_of, parts)) if isinstance(parts, list) else ""

    def field(self, name: str) -> Any:
        return doc.leaf(self.document, "/message/" + name)

    def metadata(self, name: str) -> list[Any]:
        """Return the items of a list in the metadata of the block's messages, the earliest message's first."""
        found = self.field("metadata/" + name)
        items = found if isinstance(found, list) else []
        return self.earlier.metadata(name) + items if self.earlier else items

    @property
    def is_whole(self) -> bool:
        return doc.text_of(self.field("status")) in _FINISHED

    @property
    def ends_turn(self) -> bool:
        return self.is_whole and self.field("end_turn") is True


def shown_as(message: dict[str, Any]) -> Shown | None:
    """Say how a message is shown, or `None` when it is not shown at all (sections 3.7 and 9)."""
    author, metadata = message.get("author"), message.get("metadata")
    role = author.get("role") if isinstance(author, dict) else message.get("role")
    if message.get("weight") == 0:
        return None
    if isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation"):
        return None
    kind = content_type(message)
    if role == "tool":
        name = author.get("name") if isinstance(author, dict) else None
        return "output" if name in CODE_TOOLS and kind == _OUTPUT_TYPE else None
    if role != "assistant":
        return None
    if message.get("recipient") in CODE_TOOLS:
        return "code" if kind in _CODE_TYPES else None
    if message.get("recipient") not in ("all", None):
        return None
    if kind == "thoughts":
        return "reasoning"
    if kind not in _TEXT_TYPES:
        return None
    return "text" if message.get("channel") in (None, "final") else "reasoning"


def content_type(message: dict[str, Any]) -> Any:
    content = message.get("content")
    return content.get("content_type") if isinstance(content, dict) else None


def _thoughts_text(thoughts: Any) -> str:
    if not isinstance(thoughts, list):
        return ""
    pieces = []
    for thought in thoughts:
        if isinstance(thought, dict):
            lines = (doc.text_of(thought.get("summary")), doc.text_of(thought.get("content")))
            pieces.append("\n".join(line for line in lines if line))
    return "\n\n".join(piece for piece in pieces if piece)
