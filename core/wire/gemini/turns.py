"""Messages to `contents`: who spoke, calls and their results by name, and pictures and documents as bytes."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct, json

from core.errors import MALFORMED_JSON, Unsupported
from core.free_text import FREE_TEXT
from core.media import Blob, as_url, is_data_url, read_data_url, type_of
from core.request import Audio, ChatRequest, File, Image, Message, Part, Reasoning, Text, ToolCall, ToolResult
from core.wire.gemini.objects import Object
from core.wire.gemini.signatures import FOREIGN, signature_of

_OBJECT = json.Decoder(dict[str, Raw])


class Reference(Struct, frozen=True):
    """A URL whose bytes are needed; `where` is the client's field that has it."""

    url: str
    where: str


def references(request: ChatRequest) -> tuple[Reference, ...]:
    """Return what has to be fetched before the request can be built: Gemini is sent bytes."""
    found = {each.url: each for message in request.messages for each in _references(message.parts)}
    return tuple(found.values())


def _references(parts: Sequence[Part]) -> Iterator[Reference]:
    for part in parts:
        if isinstance(part, ToolResult):
            yield from _references(part.content)
        elif isinstance(part, Image | File) and part.url and _is_remote(part.url):
            yield Reference(part.url, part.where or "messages")


def _is_remote(url: str) -> bool:
    return url[:8].lower().startswith(("http://", "https://"))


class Turns:
    """Writes the contents of one request.

    `fetched` holds the bytes of remote URLs; `names_urls` says that URLs go as they came, as `fileData`.
    `signs` says that a call needs a signature.
    """

    def __init__(self, fetched: Mapping[str, Blob], names_urls: bool, signs: bool) -> None:
        self._fetched = fetched
        self._names_urls = names_urls
        self._signs = signs
        self._called: dict[str, str] = {}

    def contents(self, messages: Sequence[Message]) -> list[Object]:
        """Return the turns; neighbours of one speaker are one, as the results of one turn's calls must be."""
        contents: list[Object] = []
        last = ""
        for message in messages:
            for speaker, parts in self._spoken(message):
                if not parts:
                    continue
                if speaker == last:
                    contents[-1]["parts"] += parts
                else:
                    contents.append({"role": "model" if speaker == "model" else "user", "parts": parts})
                last = speaker
        return contents

    def _spoken(self, message: Message) -> list[tuple[str, list[Object]]]:
        if message.role == "assistant":
            return [("model", self._said(message.parts))]
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        rest = [part for part in message.parts if not isinstance(part, ToolResult | Reasoning)]
        answered = [each for result in results for each in self._result(result)]
        return [("function", answered), ("user", [each for part in rest for each in self._part(part)])]

    def _said(self, parts: Sequence[Part]) -> list[Object]:
        """Return what the model said, each part with the signature of the thought before it.

        Thoughts themselves are not sent back: Gemini knows them by their signatures.
        """
        said: list[Object] = []
        signature: str | None = None
        called = False
        for part in parts:
            if isinstance(part, Reasoning):
                signature = signature_of(part.opaque) or signature
                continue
            for each in self._part(part):
                is_call = "functionCall" in each
                if is_call and self._signs and not (signature or called):
                    signature = FOREIGN
                said.append({**each, **({"thoughtSignature": signature} if signature else {})})
                called, signature = called or is_call, None
        if signature:
            said.append({"text": "", "thoughtSignature": signature})
        return said

    def _part(self, part: Part) -> list[Object]:
        match part:
            case Text(text):
                return [{"text": text}] if text else []
            case Image():
                return [self._image(part)]
            case File():
                return [self._file(part)]
            case Audio(data, format_):
                return [_inline(f"audio/{format_}", data)]
            case ToolCall():
                self._called[part.id] = part.name
                return [{"functionCall": {"id": part.id, "name": part.name, "args": _arguments(part)}}]
            case _:
                return []

    def _result(self, result: ToolResult) -> list[Object]:
        """Return a function's response, and behind it what of it is no text."""
        text = "\n".join(part.text for part in result.content if isinstance(part, Text))
        shown = [each for part in result.content if not isinstance(part, Text) for each in self._part(part)]
        name = self._called.get(result.call_id) or result.name or result.call_id
        response = {"id": result.call_id, "name": name, "response": _response(text, result.is_error)}
        return [{"functionResponse": response}, *shown]

    def _image(self, image: Image) -> Object:
        if image.url is None:
            raise _kept_elsewhere(image.where or "the image", image.where)
        return self._bytes_of(as_url(image.url, image.where or "the image"), image.where or "the image")

    def _file(self, file: File) -> Object:
        where = file.where or "the file"
        if file.data is not None and not is_data_url(file.data):
            return _inline(_type_of(file), file.data)
        url = file.data or file.url
        if url is None:
            raise _kept_elsewhere(where, file.where)
        return self._bytes_of(url, where)

    def _bytes_of(self, url: str, where: str) -> Object:
        if is_data_url(url):
            blob = read_data_url(url, where)
        elif self._names_urls:
            return {"fileData": {"fileUri": url}}
        elif url in self._fetched:
            blob = self._fetched[url]
        else:
            raise Unsupported(f"{where}: only http, https and data URLs can be sent to this upstream", param=where)
        media_type = type_of(blob.data, blob.media_type or None) or "application/octet-stream"
        return _inline(media_type, base64.b64encode(blob.data).decode())


def _inline(media_type: str, data: str) -> Object:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _type_of(file: File) -> str:
    """Return the media type of a document that came as mere base64: as its name tells, else PDF."""
    name = (file.filename or "").lower()
    return next((media_type for ending, media_type in _ENDINGS.items() if name.endswith(ending)), "application/pdf")


_ENDINGS = {
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".html": "text/html",
    ".csv": "text/csv",
    ".json": "application/json",
    ".xml": "text/xml",
}


def _kept_elsewhere(where: str, param: str) -> Unsupported:
    return Unsupported(f"{where}: a file of this gateway stays in its ChatGPT account", param=param or None)


def _arguments(call: ToolCall) -> Any:
    """Return a call's arguments; what is no object becomes the one argument of one."""
    if call.kind != "custom":
        try:
            return _OBJECT.decode(call.arguments or "{}")
        except MALFORMED_JSON:
            pass
    return {FREE_TEXT: call.arguments}


def _response(text: str, is_error: bool) -> Any:
    """Return what a function answered: an object as it is, anything else under the name Google has for it."""
    if not is_error and text[:1] == "{":
        try:
            return _OBJECT.decode(text)
        except MALFORMED_JSON:
            pass
    return {"error" if is_error else "output": text}
