"""What of a request an upstream without tools and structured output would not understand."""

from core.request import ChatRequest, Message, ToolCall, ToolResult


def has_tools(request: ChatRequest) -> bool:
    """Say whether a request holds anything that an upstream without tools would not understand."""
    return bool(request.tools) or wants_call(request) or any(map(has_calls, request.messages))


def has_format(request: ChatRequest) -> bool:
    """Say whether a request asks for JSON."""
    return request.output_format is not None and request.output_format.kind != "text"


def wants_call(request: ChatRequest) -> bool:
    """Say whether a request is content with nothing but a call."""
    return request.tool_choice.mode in ("required", "named")


def has_calls(message: Message) -> bool:
    """Say whether a message is about calls: it makes some, or tells what came of them."""
    return any(isinstance(part, ToolCall | ToolResult) for part in message.parts)
