"""The code interpreter: asked for in words, for the service has no switch for it, and shown as fenced blocks.

Source: chatgpt-web reference, section 9.
"""

from msgspec import structs

from core.request import ChatRequest, Text
from core.wire.chatgpt_web.words import with_question

CODE_WORDS = "Run Python code with your python tool to answer this."

FENCE = "````"
"""Longer than the fences that code and its output hold themselves, as far as that is usual."""

LANGUAGES = {"code": "python", "output": "text"}
"""What a fence says of what is in it."""


def with_code_words(request: ChatRequest) -> ChatRequest:
    """Return the request with the wish for code as the last words of its last user message, if it has the wish."""
    if not request.hints.code_interpreter:
        return request
    return structs.replace(request, messages=with_question(request.messages, (Text(CODE_WORDS),)))
