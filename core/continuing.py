"""Why a request cannot go on with an earlier turn, said of the field by which the client named that turn."""

from core.errors import InvalidRequest, Unsupported
from core.request import ChatRequest


def refuse_continued(request: ChatRequest, upstream: str) -> None:
    """Raise `Unsupported` if a request goes on with an earlier turn: this upstream keeps none."""
    if request.continues is not None or request.previous is not None:
        param, code = named_by(request)
        raise Unsupported(f"{param}: {upstream} keeps no conversations to go on with", param=param, code=code)


def not_continued(request: ChatRequest, identity: str, reason: str) -> InvalidRequest:
    """Return the error for an id, as the client sent it, that does not lead to a turn."""
    param, code = named_by(request)
    return InvalidRequest(f"{param} {identity[:80]!r} cannot be continued: {reason}", param=param, code=code)


def named_by(request: ChatRequest) -> tuple[str, str]:
    """Return the field that names the turn a request goes on with, and the code of an error about it."""
    if request.previous is not None:
        return request.previous_where, "previous_response_not_found"
    return "conversation_id", "conversation_not_found"
