"""What ties a request to an account or an upstream, so that one conversation stays where its cache is (P6)."""

import hashlib

from core.accounts import Principal
from core.request import ChatRequest, Text


def affinity(request: ChatRequest, principal: Principal) -> str:
    """Return the conversation a request goes on with, else its session.

    The session is the one the caller names for its cache, else who asks and how the conversation began.
    """
    if request.continues is not None:
        return request.continues.conversation_id
    if named := request.extras.get("prompt_cache_key"):
        return hashlib.sha256(principal.key_digest.encode() + b"\0" + bytes(named)).hexdigest()
    first = next((message for message in request.messages if message.role == "user"), request.messages[0])
    text = "".join(part.text for part in first.parts if isinstance(part, Text))
    return hashlib.sha256(f"{principal.key_digest}\0{text}".encode(errors="surrogatepass")).hexdigest()
