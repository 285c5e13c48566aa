"""The answers of four formats as ready bytes: ChatGPT Web's delta encoding, Chat Completions, Responses, Messages.

Frames only; how they are cut into HTTP chunks and when they are sent is the server's business.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from bench.order import FIRST_SENTENCE, LAST_WORD, WORDS

UPON = tuple(word.decode() for word in WORDS)
END = LAST_WORD.decode()
MODEL = "bench-model"
CREATED = 1769267364
CONVERSATION_ID = "6974e0a3-b684-8321-a73a-bf4e7b6dfafe"
MESSAGE_ID = "0fe98393-5d68-4e41-9fb6-75b50f27c79e"

Json = Mapping[str, object]


class Format(Struct, frozen=True):
    """`opening` takes the first text; `deltas` are one word each, in turn; `closing` and `whole` take their number.

    `whole` is the answer that is not streamed, `None` where the vendor always streams.
    """

    opening: Callable[[str], list[bytes]]
    deltas: tuple[bytes, ...]
    closing: Callable[[int], list[bytes]]
    whole: Callable[[int], bytes] | None


def block(data: object, event: str | None = None) -> bytes:
    """Return one server-sent event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {msgspec.json.encode(data).decode()}\n\n".encode()


def typed(kind: str, **fields: object) -> bytes:
    """Return an event whose name stands in its data too, as Responses and Messages write them."""
    return block({"type": kind, **fields}, kind)


def text_of(deltas: int) -> str:
    pairs, odd = divmod(deltas, len(UPON))
    return FIRST_SENTENCE + "".join(UPON) * pairs + "".join(UPON[:odd]) + END


DONE = b"data: [DONE]\n\n"


# ChatGPT Web, delta encoding v1 (chatgpt-web reference, section 6)

TEXT_PATH = "/message/content/parts/0"


def web_opening(first_text: str) -> list[bytes]:
    message = {
        "id": MESSAGE_ID,
        "author": {"role": "assistant", "name": None, "metadata": {}},
        "create_time": CREATED,
        "update_time": None,
        "content": {"content_type": "text", "parts": [""]},
        "status": "in_progress",
        "end_turn": None,
        "weight": 1.0,
        "metadata": {"message_type": "next", "model_slug": "gpt-5-2"},
        "recipient": "all",
        "channel": "final",
    }
    document = {"message": message, "conversation_id": CONVERSATION_ID, "error": None, "error_code": None}
    return [
        block("v1", "delta_encoding"),
        block({"p": "", "o": "add", "v": document, "c": 0}, "delta"),
        block({"p": TEXT_PATH, "o": "append", "v": first_text}, "delta"),
    ]


def web_closing(_: int) -> list[bytes]:
    patch = [
        {"p": TEXT_PATH, "o": "append", "v": END},
        {"p": "/message/status", "o": "replace", "v": "finished_successfully"},
        {"p": "/message/end_turn", "o": "replace", "v": True},
        {"p": "/message/metadata", "o": "append", "v": {"finish_details": {"type": "stop"}}},
    ]
    return [
        block({"p": "", "o": "patch", "v": patch}, "delta"),
        block({"type": "message_stream_complete", "conversation_id": CONVERSATION_ID}),
        DONE,
    ]


# Chat Completions


def chat_usage(deltas: int) -> Json:
    return {"prompt_tokens": 9, "completion_tokens": deltas + 2, "total_tokens": deltas + 11}


def chat_chunk(delta: Json, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": CREATED, "model": MODEL}
    return block({**head, "system_fingerprint": None, "choices": [choice]})


def chat_opening(first_text: str) -> list[bytes]:
    return [chat_chunk({"role": "assistant", "content": ""}), chat_chunk({"content": first_text})]


def chat_closing(_: int) -> list[bytes]:
    return [chat_chunk({"content": END}), chat_chunk({}, "stop"), DONE]


def chat_whole(deltas: int) -> bytes:
    message = {"role": "assistant", "content": text_of(deltas), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-bench", "object": "chat.completion", "created": CREATED, "model": MODEL}
    return msgspec.json.encode({**head, "choices": [choice], "usage": chat_usage(deltas)})


# Responses

ITEM_ID = "msg_bench"
PLACE: Json = {"item_id": ITEM_ID, "output_index": 0, "content_index": 0}


def response_object(status: str, output: list[Json], usage: Json | None = None) -> Json:
    return {
        "id": "resp_bench",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": MODEL,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "usage": usage,
    }


def text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(status: str, content: list[Json]) -> Json:
    return {"id": ITEM_ID, "type": "message", "status": status, "role": "assistant", "content": content}


def finished_response(text: str, deltas: int) -> Json:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": deltas + 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": deltas + 11,
    }
    return response_object("completed", [message_item("completed", [text_part(text)])], usage)


def text_delta(text: str) -> bytes:
    # Real sequence numbers rise; no reader here counts them, and equal bytes can be made once.
    return typed("response.output_text.delta", sequence_number=4, **PLACE, delta=text, logprobs=[])


def responses_opening(first_text: str) -> list[bytes]:
    begun = response_object("in_progress", [])
    item = message_item("in_progress", [])
    return [
        typed("response.created", sequence_number=0, response=begun),
        typed("response.in_progress", sequence_number=1, response=begun),
        typed("response.output_item.added", sequence_number=2, output_index=0, item=item),
        typed("response.content_part.added", sequence_number=3, **PLACE, part=text_part("")),
        text_delta(first_text),
    ]


def responses_closing(deltas: int) -> list[bytes]:
    text = text_of(deltas)
    part, number = text_part(text), deltas + 5
    item = message_item("completed", [part])
    return [
        text_delta(END),
        typed("response.output_text.done", sequence_number=number, **PLACE, text=text, logprobs=[]),
        typed("response.content_part.done", sequence_number=number + 1, **PLACE, part=part),
        typed("response.output_item.done", sequence_number=number + 2, output_index=0, item=item),
        typed("response.completed", sequence_number=number + 3, response=finished_response(text, deltas)),
    ]


def responses_whole(deltas: int) -> bytes:
    return msgspec.json.encode(finished_response(text_of(deltas), deltas))


# Messages


def messages_object(content: Sequence[Json], stop_reason: str | None, output_tokens: int) -> Json:
    return {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": output_tokens},
    }


def messages_delta(text: str) -> bytes:
    return typed("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def messages_opening(first_text: str) -> list[bytes]:
    return [
        typed("message_start", message=messages_object([], None, 1)),
        typed("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        typed("ping"),
        messages_delta(first_text),
    ]


def messages_closing(deltas: int) -> list[bytes]:
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        messages_delta(END),
        typed("content_block_stop", index=0),
        typed("message_delta", delta=ending, usage={"output_tokens": deltas + 2}),
        typed("message_stop"),
    ]


def messages_whole(deltas: int) -> bytes:
    content = [{"type": "text", "text": text_of(deltas)}]
    return msgspec.json.encode(messages_object(content, "end_turn", deltas + 2))


def each(write: Callable[[str], bytes]) -> tuple[bytes, ...]:
    return tuple(map(write, UPON))


WEB = Format(web_opening, each(lambda word: block({"v": word}, "delta")), web_closing, None)
CHAT = Format(chat_opening, each(lambda word: chat_chunk({"content": word})), chat_closing, chat_whole)
RESPONSES = Format(responses_opening, each(text_delta), responses_closing, responses_whole)
MESSAGES = Format(messages_opening, each(messages_delta), messages_closing, messages_whole)

FORMATS: Mapping[bytes, Format] = {
    b"/backend-api/f/conversation": WEB,
    b"/backend-api/conversation": WEB,
    b"/v1/chat/completions": CHAT,
    b"/v1/responses": RESPONSES,
    b"/v1/messages": MESSAGES,
}
"""By the path of the request."""
