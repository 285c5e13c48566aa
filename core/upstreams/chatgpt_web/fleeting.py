"""A conversation that is made only for what it yields (a picture, a sound) and must not stay in the account (P10)."""

from functools import partial
from types import TracebackType

from core.chatgpt.session import Session
from core.cleanup import remove_conversation
from core.request import Turn
from core.upstreams.chatgpt_web import stored


class Fleeting:
    """Hides the conversation when the context is left, also after a failure or when the client has gone.

    Set `conversation_id` as soon as it is known. With `keep` nothing is removed.
    """

    def __init__(self, session: Session, keep: bool = False) -> None:
        self._session = session
        self._keep = keep
        self.conversation_id: str | None = None

    async def __aenter__(self) -> "Fleeting":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.conversation_id is not None and not self._keep:
            await remove_conversation(partial(stored.forget, self._session, Turn(self.conversation_id)))
