"""The goals of the project for its speed, as ratios within one run, and whether this one met them."""

from msgspec import Struct

from bench.figures import ratio
from bench.results import Results

KB = 1000


class Goal(Struct, frozen=True):
    """`found` is `None` where the run had no figure for it. It is met up to `bound`, or from it on (`at_least`)."""

    title: str
    found: float | None
    bound: float
    at_least: bool = False

    def met(self) -> bool | None:
        if self.found is None:
            return None
        return self.found >= self.bound if self.at_least else self.found <= self.bound


def goals(results: Results) -> list[Goal]:
    cpu, added = results.cpu, results.added_s
    memory = results.memory.get("web")

    def first_word(leg: str, bare: str, share: float) -> float | None:
        return ratio(added(64, leg, share), added(64, bare, share))

    return [
        Goal(
            "ChatGPT Web to chat, CPU per delta flat out, beside the bare passthrough",
            ratio(cpu("flat-1", "web"), cpu("flat-1", "bare-web")),
            0.65,
        ),
        Goal("the same, paced", ratio(cpu("paced", "web"), cpu("paced", "bare-web")), 0.65),
        Goal(
            "LiteLLM, chat to chat, beside ChatGPT Web to chat, flat out",
            ratio(cpu("flat-1", "litellm"), cpu("flat-1", "web")),
            150,
            at_least=True,
        ),
        Goal(
            "LiteLLM's OpenAI passthrough beside ChatGPT Web to chat, flat out",
            ratio(cpu("flat-1", "litellm-pass"), cpu("flat-1", "web")),
            150,
            at_least=True,
        ),
        Goal("with tools beside without, flat out", ratio(cpu("flat-1", "web-tools"), cpu("flat-1", "web")), 1.5),
        Goal(
            "CPU per request not streamed, 256 in flight beside 1",
            ratio(cpu("request-256", "web"), cpu("request-1", "web")),
            1.3,
        ),
        Goal(
            "added time to the first word, 64 streams, p50, ChatGPT Web (four calls), beside the bare passthrough",
            first_word("web", "bare-web", 0.5),
            0.5,
        ),
        Goal("the same, p99", first_word("web", "bare-web", 0.99), 0.1),
        Goal("the same, p50, chat to chat (one call)", first_word("same", "bare", 0.5), 0.5),
        Goal("the same, p99", first_word("same", "bare", 0.99), 0.1),
        Goal("KB resident for each open paced stream", memory.per_stream_bytes() / KB if memory else None, 50),
        Goal("of these streams, late by more than a second", float(memory.late()) if memory else None, 0),
        Goal(
            "cold import of api.index beside that of litellm",
            ratio(results.import_s("web"), results.import_s("litellm")),
            1 / 20,
        ),
    ]
