"""The conversations of the simulated service, in memory, as trees of messages (reference chatgpt-web 3.7)."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import uuid4

from msgspec import Struct, field

from core.loopback.messages import Message
from core.loopback.prompts import Prompt
from core.loopback.refusals import Json, Refused
from core.loopback.turns import Frame

ROOT = "client-created-root"
_POLLS = 2


class Node(Struct):
    id: str
    message: Message | None
    parent: str | None
    children: list[str] = field(default_factory=list)

    def wire(self) -> Json:
        message = self.message.wire() if self.message else None
        return {"id": self.id, "message": message, "parent": self.parent, "children": self.children}


class Pending(Struct):
    """A turn that was handed off: what is still to be told, and the messages it ends in, which come below `after`.

    The turn is over after `polls_left` looks at it. `resumable` tells whether its frames may be fetched. `failure` is
    why it never ends.
    """

    frames: list[Frame]
    messages: tuple[Message, ...]
    after: str
    conduit_token: str
    resumable: bool
    polls_left: int = _POLLS
    failure: str | None = None


class Conversation(Struct):
    """One conversation. `owner` is the account's key; `prompt` what its last turn was asked."""

    id: str
    owner: str
    temporary: bool
    created_at: float
    title: str = "Loopback"
    nodes: dict[str, Node] = field(default_factory=lambda: {ROOT: Node(ROOT, None, None)})
    current: str = ROOT
    is_archived: bool = False
    is_visible: bool = True
    prompt: Prompt = Prompt()
    pending: Pending | None = None

    def add(self, messages: Iterable[Message], parent: str) -> str:
        """Hang messages one below the other under `parent`; return the id of the last."""
        for message in messages:
            known = self.nodes.get(message.id)
            if known is None:
                self.nodes[message.id] = Node(message.id, message, parent)
                self.nodes[parent].children.append(message.id)
            else:
                known.message = message
            parent = message.id
        self.current = parent
        return parent

    def look(self) -> None:
        """Count one look at a handed-off turn, which is finished after a few."""
        pending = self.pending
        if pending is None or pending.failure is not None:
            return
        if pending.polls_left == 1:
            self.settle()
        pending.polls_left = max(pending.polls_left - 1, 0)

    def settle(self) -> None:
        """Write the end of the handed-off turn into the tree."""
        if self.pending and self.pending.polls_left:
            self.add(self.pending.messages, self.pending.after)
            self.pending.polls_left = 0

    @property
    def is_streaming(self) -> bool:
        return self.pending is not None and self.pending.polls_left > 0

    def tree(self) -> Json:
        return {
            **self.summary(),
            "mapping": {node.id: node.wire() for node in self.nodes.values()},
            "current_node": self.current,
            "conversation_id": self.id,
            "moderation_results": [],
            "async_status": 1 if self.is_streaming else None,
            "safe_urls": [],
            "default_model_slug": "auto",
            "create_time": self.created_at,
            "update_time": self.created_at,
        }

    def summary(self) -> Json:
        """Return the conversation as a list shows it."""
        created = datetime.fromtimestamp(self.created_at, UTC).isoformat()
        return {
            "id": self.id,
            "title": self.title,
            "create_time": created,
            "update_time": created,
            "mapping": None,
            "current_node": None,
            "gizmo_id": None,
            "is_archived": self.is_archived,
        }


class Conversations:
    """Holds the `limit` conversations used last."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._held: OrderedDict[str, Conversation] = OrderedDict()

    def open(self, owner: str, *, temporary: bool, now: float) -> Conversation:
        # The first group of a conversation id is a Unix time (reference chatgpt-web 0).
        conversation = Conversation(f"{int(now):08x}{str(uuid4())[8:]}", owner, temporary, now)
        self._held[conversation.id] = conversation
        while len(self._held) > self._limit:
            self._held.popitem(last=False)
        return conversation

    def find(self, conversation_id: str, owner: str) -> Conversation:
        """Return the owner's conversation; raise `Refused` 404 when there is none."""
        conversation = self._held.get(conversation_id)
        if conversation is None or conversation.owner != owner:
            raise Refused(404)
        self._held.move_to_end(conversation_id)
        return conversation

    def stored(self, conversation_id: str, owner: str) -> Conversation:
        """Return what may be looked up later: a temporary conversation only while its turn is handed off.

        A removed conversation, which the service only hides, is not found either.
        """
        conversation = self.find(conversation_id, owner)
        if conversation.temporary and conversation.pending is None:
            raise Refused(404)
        if not conversation.is_visible:
            raise Refused(404)
        return conversation

    def is_temporary(self, conversation_id: str) -> bool:
        conversation = self._held.get(conversation_id)
        return conversation is not None and conversation.temporary

    def listed(self, owner: str) -> list[Conversation]:
        """Return the owner's visible conversations, the last used first."""
        return [
            conversation
            for conversation in reversed(self._held.values())
            if conversation.owner == owner and conversation.is_visible and not conversation.temporary
        ]

    def waiting(self, owner: str) -> list[Conversation]:
        """Return the owner's conversations whose last turn was handed off."""
        held = self._held.values()
        return [conversation for conversation in held if conversation.owner == owner and conversation.pending]

    def clear(self) -> None:
        self._held.clear()
