"""OpenAI's error object, which Chat Completions, Responses and every route without a dialect of its own share."""

from msgspec import json

from core.errors import GatewayError


def render_error(error: GatewayError) -> bytes:
    """Return OpenAI's error object (JR-13); the type is one of JR-14."""
    detail = {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}
    return json.encode({"error": detail})
