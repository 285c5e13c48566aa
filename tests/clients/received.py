"""What a simulated vendor received of an agent's run, read as that vendor reads it."""

from typing import Any

from tests.api.servers import Upstream

Json = dict[str, Any]

TURNS = {
    "chatgpt_web": ("/f/conversation",),
    "codex": ("/codex/responses",),
    "openai": ("/v1/chat/completions", "/v1/responses"),
    "anthropic": ("/v1/messages",),
    "gemini": (":streamGenerateContent",),
}
"""How the paths of turns end, by the upstream's name."""

MODELS = {
    "chatgpt_web": "chatgpt_web/gpt-5-6",
    "codex": "codex/gpt-5.5",
    "openai": "openai/loopback-large",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-loopback",
}
"""By which `model` a turn gets there."""


class Received:
    """What reached one upstream since the test began."""

    def __init__(self, upstream: Upstream, name: str) -> None:
        self._upstream = upstream
        self._name = name
        self._before = len(upstream.log())

    def turns(self) -> list[Json]:
        return [call["body"] for call in self._calls()]

    def results(self, turn: int) -> list[str]:
        """Return what the tools have answered by a turn, each result as one text."""
        call = self._calls()[turn]
        [read] = [reader for path, reader in READERS.items() if call["path"].endswith(path)]
        return read(call["body"])

    def _calls(self) -> list[Json]:
        calls = self._upstream.log()[self._before :]
        return [call for call in calls if call["path"].endswith(TURNS[self._name])]


def _chatgpt_web(body: Json) -> list[str]:
    texts = ["".join(map(str, message["content"]["parts"])) for message in body["messages"]]
    return [part for text in texts for part in text.split("<tool_result ")[1:]]


def _responses(body: Json) -> list[str]:
    return [str(item["output"]) for item in body["input"] if item["type"].endswith("_call_output")]


def _chat(body: Json) -> list[str]:
    return [str(message["content"]) for message in body["messages"] if message["role"] == "tool"]


def _messages(body: Json) -> list[str]:
    blocks = [
        block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]
    ]
    return [str(block["content"]) for block in blocks if block["type"] == "tool_result"]


def _gemini(body: Json) -> list[str]:
    parts = [part for content in body["contents"] for part in content["parts"]]
    return [str(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part]


READERS = {
    "/f/conversation": _chatgpt_web,
    "/responses": _responses,
    "/chat/completions": _chat,
    "/v1/messages": _messages,
    ":streamGenerateContent": _gemini,
}
