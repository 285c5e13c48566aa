"""The four APIs that clients speak, each as a client that asks one question and tells what it was answered.

A question is put in the API's own words; an answer is read from its stream or from its whole object, by the rules the
API's documentation gives and no others.
"""

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import httpx
from msgspec import Struct, field

from tests.api.servers import KEY

Json: TypeAlias = dict[str, Any]


class Made(Struct, frozen=True):
    """A call that the model made."""

    name: str
    arguments: Any
    id: str = ""


class Attached(Struct, frozen=True):
    """What comes with a text: its bytes, or the id of a file that somebody keeps."""

    media_type: str
    data: bytes = b""
    file_id: str = ""

    @property
    def encoded(self) -> str:
        return base64.b64encode(self.data).decode()

    @property
    def url(self) -> str:
        return f"data:{self.media_type};base64,{self.encoded}"


class Question(Struct, frozen=True):
    """What is asked: a user's text, then rounds of calls with their results; tools, something attached, a schema."""

    text: str
    rounds: tuple[tuple[tuple[Made, str], ...], ...] = ()
    tools: tuple[Json, ...] = ()
    attached: Attached | None = None
    schema: Json | None = None
    thinks: bool = False


class Spent(Struct, frozen=True):
    """What an answer cost, in tokens; `total` only where the API has such a field."""

    input: int
    output: int
    total: int | None = None


class Told(Struct, frozen=True):
    """What was answered. `failure` is the error's message, in the body or in the stream."""

    status: int
    upstream: str = ""
    text: str = ""
    reasoning: str = ""
    calls: tuple[Made, ...] = ()
    finish: str = ""
    spent: Spent | None = None
    failure: str = ""
    error: Json = field(default_factory=dict)


class Client(ABC):
    """One API. `finishes` translates its finish reasons to ours."""

    name: str
    finishes: dict[str, str]

    def ask(self, web: httpx.Client, model: str, question: Question, stream: bool) -> Told:
        answer = web.post(self.path(model, stream), json=self.body(model, question, stream), headers=self.headers())
        upstream = answer.headers.get("x-isthmus-upstream", "")
        if answer.status_code != 200:
            error = answer.json()
            return Told(answer.status_code, upstream, failure=self.message(error), error=error)
        if stream:
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
            return self.read_stream(list(events(answer.text)), upstream)
        return self.read_whole(answer.json(), upstream)

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {KEY}"}

    @abstractmethod
    def path(self, model: str, stream: bool) -> str: ...

    @abstractmethod
    def body(self, model: str, question: Question, stream: bool) -> Json: ...

    @abstractmethod
    def read_stream(self, frames: Sequence[tuple[str, Any]], upstream: str) -> Told: ...

    @abstractmethod
    def read_whole(self, answer: Json, upstream: str) -> Told: ...

    def message(self, error: Json) -> str:
        """Return the message of an error object, having checked that it has this API's shape."""
        assert error.keys() == {"error"}, error
        assert error["error"].keys() == {"message", "type", "param", "code"}, error
        return str(error["error"]["message"])


def events(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the events of a stream: name and payload, `[DONE]` as it is. Comments are left out."""
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
        data = "\n".join(line.removeprefix("data: ") for line in lines if line.startswith("data: "))
        if data:
            yield (names[0] if names else "", data if data == "[DONE]" else json.loads(data))


class ChatClient(Client):
    name = "chat"
    finishes = {"stop": "stop", "length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter"}

    def path(self, model: str, stream: bool) -> str:
        return "/v1/chat/completions"

    def body(self, model: str, question: Question, stream: bool) -> Json:
        content: Any = question.text
        if question.attached is not None:
            content = [{"type": "text", "text": question.text}, self._part(question.attached)]
        messages: list[Json] = [{"role": "user", "content": content}]
        for made in question.rounds:
            calls = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for call, _ in made
            ]
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
            messages += ({"role": "tool", "tool_call_id": call.id, "content": result} for call, result in made)
        body: Json = {"model": model, "messages": messages, "stream": stream}
        if stream:
            body["stream_options"] = {"include_usage": True}
        if question.tools:
            body["tools"] = [{"type": "function", "function": tool} for tool in question.tools]
        if question.schema is not None:
            wanted = {"name": "answer", "schema": question.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        if question.thinks:
            body["reasoning_effort"] = "low"
        return body

    def _part(self, attached: Attached) -> Json:
        if attached.file_id:
            return {"type": "file", "file": {"file_id": attached.file_id}}
        if attached.media_type == "audio/wav":
            return {"type": "input_audio", "input_audio": {"data": attached.encoded, "format": "wav"}}
        if attached.media_type.startswith("image/"):
            return {"type": "image_url", "image_url": {"url": attached.url}}
        return {"type": "file", "file": {"file_data": attached.url, "filename": "a.pdf"}}

    def read_stream(self, frames: Sequence[tuple[str, Any]], upstream: str) -> Told:
        assert frames[-1][1] == "[DONE]"
        chunks = [payload for _, payload in frames[:-1]]
        failures = [chunk["error"]["message"] for chunk in chunks if "error" in chunk]
        deltas = [choice for chunk in chunks for choice in chunk.get("choices", ())]
        calls: dict[int, Json] = {}
        for choice in deltas:
            for piece in choice["delta"].get("tool_calls") or ():
                call = calls.setdefault(piece["index"], {"id": "", "name": "", "arguments": ""})
                call["id"] += piece.get("id") or ""
                call["name"] += piece.get("function", {}).get("name") or ""
                call["arguments"] += piece.get("function", {}).get("arguments") or ""
        finishes = [choice["finish_reason"] for choice in deltas if choice["finish_reason"]]
        assert len(finishes) == (0 if failures else 1)
        return Told(
            status=200,
            upstream=upstream,
            text="".join(choice["delta"].get("content") or "" for choice in deltas),
            reasoning="".join(choice["delta"].get("reasoning_content") or "" for choice in deltas),
            calls=tuple(Made(call["name"], loaded(call["arguments"]), call["id"]) for call in calls.values()),
            finish=self.finishes[finishes[0]] if finishes else "",
            spent=next((self._spent(chunk["usage"]) for chunk in chunks if chunk.get("usage")), None),
            failure="".join(failures),
        )

    def read_whole(self, answer: Json, upstream: str) -> Told:
        [choice] = answer["choices"]
        message = choice["message"]
        return Told(
            status=200,
            upstream=upstream,
            text=message["content"] or "",
            reasoning=message.get("reasoning_content") or "",
            calls=tuple(
                Made(call["function"]["name"], loaded(call["function"]["arguments"]), call["id"])
                for call in message.get("tool_calls") or ()
            ),
            finish=self.finishes[choice["finish_reason"]],
            spent=self._spent(answer["usage"]),
        )

    def _spent(self, usage: Json) -> Spent:
        return Spent(usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"])


class ResponsesClient(Client):
    name = "responses"
    finishes = {"max_output_tokens": "length", "content_filter": "content_filter"}

    def path(self, model: str, stream: bool) -> str:
        return "/v1/responses"

    def body(self, model: str, question: Question, stream: bool) -> Json:
        content: list[Json] = [{"type": "input_text", "text": question.text}]
        if question.attached is not None:
            content.append(self._part(question.attached))
        items: list[Json] = [{"type": "message", "role": "user", "content": content}]
        for made in question.rounds:
            for call, _ in made:
                named = {"call_id": call.id, "name": call.name, "arguments": json.dumps(call.arguments)}
                items.append({"type": "function_call", **named})
            items += ({"type": "function_call_output", "call_id": call.id, "output": text} for call, text in made)
        body: Json = {"model": model, "input": items, "stream": stream, "store": False}
        if question.tools:
            body["tools"] = [{"type": "function", "strict": False, **tool} for tool in question.tools]
        if question.schema is not None:
            wanted = {"type": "json_schema", "name": "answer", "schema": question.schema, "strict": True}
            body["text"] = {"format": wanted}
        if question.thinks:
            body["reasoning"] = {"effort": "low", "summary": "auto"}
        return body

    def _part(self, attached: Attached) -> Json:
        if attached.file_id:
            return {"type": "input_file", "file_id": attached.file_id}
        if attached.media_type == "audio/wav":
            return {"type": "input_audio", "input_audio": {"data": attached.encoded, "format": "wav"}}
        if attached.media_type.startswith("image/"):
            return {"type": "input_image", "image_url": attached.url, "detail": "auto"}
        return {"type": "input_file", "file_data": attached.url, "filename": "a.pdf"}

    def read_stream(self, frames: Sequence[tuple[str, Any]], upstream: str) -> Told:
        names = [name for name, payload in frames]
        assert all(name == payload["type"] for name, payload in frames)
        assert names[0] == "response.created"
        last = frames[-1][1]
        assert names[-1] in ("response.completed", "response.incomplete", "response.failed"), names[-1]
        if names[-1] == "response.failed":
            text = "".join(payload["delta"] for name, payload in frames if name == "response.output_text.delta")
            return Told(200, upstream, text=text, failure=last["response"]["error"]["message"])
        told = self.read_whole(last["response"], upstream)
        text = "".join(payload["delta"] for name, payload in frames if name == "response.output_text.delta")
        assert text == told.text
        return told

    def read_whole(self, answer: Json, upstream: str) -> Told:
        output = answer["output"]
        texts = [part["text"] for item in output if item["type"] == "message" for part in item["content"]]
        thoughts = [part["text"] for item in output if item["type"] == "reasoning" for part in item["summary"]]
        calls = [item for item in output if item["type"] == "function_call"]
        finish = "tool_calls" if calls else "stop"
        if answer["status"] == "incomplete":
            finish = self.finishes[answer["incomplete_details"]["reason"]]
        return Told(
            status=200,
            upstream=upstream,
            text="".join(texts),
            reasoning="".join(thoughts),
            calls=tuple(Made(call["name"], loaded(call["arguments"]), call["call_id"]) for call in calls),
            finish=finish,
            spent=self._spent(answer["usage"]) if answer["usage"] else None,
        )

    def _spent(self, usage: Json) -> Spent:
        return Spent(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"])


class MessagesClient(Client):
    name = "messages"
    finishes = {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
    }

    def headers(self) -> dict[str, str]:
        return {"x-api-key": KEY, "anthropic-version": "2023-06-01"}

    def path(self, model: str, stream: bool) -> str:
        return "/v1/messages"

    def body(self, model: str, question: Question, stream: bool) -> Json:
        content: list[Json] = [{"type": "text", "text": question.text}]
        if question.attached is not None:
            content.append(self._block(question.attached))
        messages: list[Json] = [{"role": "user", "content": content}]
        for made in question.rounds:
            calls = [{"type": "tool_use", "id": c.id, "name": c.name, "input": c.arguments} for c, _ in made]
            results = [{"type": "tool_result", "tool_use_id": c.id, "content": text} for c, text in made]
            messages += ({"role": "assistant", "content": calls}, {"role": "user", "content": results})
        body: Json = {"model": model, "max_tokens": 4096, "messages": messages, "stream": stream}
        if question.tools:
            body["tools"] = [
                {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
                for tool in question.tools
            ]
        if question.schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": question.schema}}
        if question.thinks:
            body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        return body

    def _block(self, attached: Attached) -> Json:
        kind = "image" if attached.media_type.startswith("image/") else "document"
        if attached.file_id:
            return {"type": kind, "source": {"type": "file", "file_id": attached.file_id}}
        source = {"type": "base64", "media_type": attached.media_type, "data": attached.encoded}
        return {"type": kind, "source": source}

    def read_stream(self, frames: Sequence[tuple[str, Any]], upstream: str) -> Told:
        assert all(name == payload["type"] for name, payload in frames)
        assert frames[0][0] == "message_start"
        blocks: dict[int, Json] = {}
        pieces: dict[int, str] = {}
        usage: Json = {}
        finish, failure = "", ""
        for name, payload in frames:
            if name == "content_block_start":
                blocks[payload["index"]], pieces[payload["index"]] = payload["content_block"], ""
            elif name == "content_block_delta":
                delta = payload["delta"]
                text = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
                pieces[payload["index"]] += delta[text[delta["type"]]] if delta["type"] in text else ""
            elif name == "message_delta":
                finish, usage = payload["delta"]["stop_reason"], usage | payload["usage"]
            elif name == "message_start":
                usage = payload["message"]["usage"]
            elif name == "error":
                failure = payload["error"]["message"]
        assert frames[-1][0] == ("error" if failure else "message_stop")
        return self._told([(block, pieces[index]) for index, block in blocks.items()], finish, usage, upstream, failure)

    def read_whole(self, answer: Json, upstream: str) -> Told:
        assert answer["type"] == "message"
        fields = {"text": "text", "thinking": "thinking", "tool_use": "input"}
        blocks = [(block, block[fields[block["type"]]]) for block in answer["content"] if block["type"] in fields]
        return self._told(blocks, answer["stop_reason"], answer["usage"], upstream)

    def _told(
        self, blocks: Sequence[tuple[Json, Any]], finish: str, usage: Json, upstream: str, failure: str = ""
    ) -> Told:
        return Told(
            status=200,
            upstream=upstream,
            text="".join(text for block, text in blocks if block["type"] == "text"),
            reasoning="".join(text for block, text in blocks if block["type"] == "thinking"),
            calls=tuple(
                Made(block["name"], loaded(given), block["id"])
                for block, given in blocks
                if block["type"] == "tool_use"
            ),
            finish=self.finishes[finish] if finish else "",
            spent=Spent(usage["input_tokens"], usage["output_tokens"]),
            failure=failure,
        )

    def message(self, error: Json) -> str:
        assert error["type"] == "error", error
        assert {"type", "message"} <= error["error"].keys(), error
        return str(error["error"]["message"])


class GeminiClient(Client):
    name = "gemini"
    finishes = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter", "OTHER": "other"}

    def headers(self) -> dict[str, str]:
        return {"x-goog-api-key": KEY}

    def path(self, model: str, stream: bool) -> str:
        return f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")

    def body(self, model: str, question: Question, stream: bool) -> Json:
        parts: list[Json] = [{"text": question.text}]
        if question.attached is not None:
            parts.append(self._part(question.attached))
        contents: list[Json] = [{"role": "user", "parts": parts}]
        for made in question.rounds:
            calls = [{"functionCall": {"id": c.id, "name": c.name, "args": c.arguments}} for c, _ in made]
            results = [
                {"functionResponse": {"id": c.id, "name": c.name, "response": {"output": text}}} for c, text in made
            ]
            contents += ({"role": "model", "parts": calls}, {"role": "user", "parts": results})
        generation: Json = {}
        if question.schema is not None:
            generation = {"responseMimeType": "application/json", "responseJsonSchema": question.schema}
        if question.thinks:
            generation["thinkingConfig"] = {"includeThoughts": True, "thinkingBudget": 1024}
        body: Json = {"contents": contents, "generationConfig": generation}
        if question.tools:
            declared = [
                {"name": t["name"], "description": t["description"], "parametersJsonSchema": t["parameters"]}
                for t in question.tools
            ]
            body["tools"] = [{"functionDeclarations": declared}]
        return body

    def _part(self, attached: Attached) -> Json:
        if attached.file_id:
            uri = f"https://generativelanguage.googleapis.com/v1beta/files/{attached.file_id}"
            return {"fileData": {"mimeType": attached.media_type, "fileUri": uri}}
        return {"inlineData": {"mimeType": attached.media_type, "data": attached.encoded}}

    def read_stream(self, frames: Sequence[tuple[str, Any]], upstream: str) -> Told:
        assert all(name == "" for name, _ in frames)
        chunks = [payload for _, payload in frames]
        failures = [chunk["error"]["message"] for chunk in chunks if "error" in chunk]
        return self._told([chunk for chunk in chunks if "error" not in chunk], upstream, "".join(failures))

    def read_whole(self, answer: Json, upstream: str) -> Told:
        return self._told([answer], upstream, "")

    def _told(self, chunks: Sequence[Json], upstream: str, failure: str) -> Told:
        candidates = [candidate for chunk in chunks for candidate in chunk.get("candidates", ())]
        parts = [part for each in candidates for part in each.get("content", {}).get("parts", ())]
        finishes = [each["finishReason"] for each in candidates if each.get("finishReason")]
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        assert len(finishes) == (0 if failure else 1)
        finish = self.finishes[finishes[0]] if finishes else ""
        return Told(
            status=200,
            upstream=upstream,
            text="".join(part["text"] for part in parts if "text" in part and not part.get("thought")),
            reasoning="".join(part["text"] for part in parts if part.get("thought")),
            calls=tuple(Made(call["name"], call["args"], call.get("id", "")) for call in calls),
            finish="tool_calls" if calls and finish == "stop" else finish,
            spent=next(
                (self._spent(each["usageMetadata"]) for each in reversed(chunks) if "usageMetadata" in each), None
            ),
            failure=failure,
        )

    def _spent(self, usage: Json) -> Spent:
        output = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
        return Spent(usage["promptTokenCount"], output, usage["totalTokenCount"])

    def message(self, error: Json) -> str:
        assert error.keys() == {"error"}, error
        assert {"code", "message", "status"} <= error["error"].keys(), error
        return str(error["error"]["message"])


def loaded(arguments: Any) -> Any:
    return json.loads(arguments or "{}") if isinstance(arguments, str) else arguments


CLIENTS: tuple[Client, ...] = (ChatClient(), ResponsesClient(), MessagesClient(), GeminiClient())
