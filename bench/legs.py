"""What is asked of whom: each leg is one way through one candidate, and the load client sees them all alike."""

from collections.abc import Mapping

from msgspec import Struct

from bench.candidates import KEY
from bench.client_requests import MANNERS, Ask, Dialect, http_request
from bench.load import Job
from bench.order import Order
from bench.passthrough import CLIENTS

WEB_PATH = "/backend-api/f/conversation"
WEB_END = b"data: [DONE]\n\n"
"""ChatGPT Web streams every answer, so it always ends like this."""

UPSTREAM = "upstream"
"""The candidate of the leg without any: the client asks the simulated vendor itself."""

TOOLS = 8


class Leg(Struct, frozen=True):
    """One way. `path` and `end` replace the dialect's own; `tools` go with every request.

    `bare` names the leg it is compared with. Legs `in_brief` take part in the loads flat out alone, extra ones only
    when they are named.
    """

    name: str
    title: str
    candidate: str
    model: str = "bench-model"
    dialect: Dialect = "chat"
    path: str = ""
    end: bytes = b""
    tools: int = 0
    bare: str = "bare"
    in_brief: bool = False
    is_extra: bool = False


LEGS: Mapping[str, Leg] = {
    leg.name: leg
    for leg in (
        Leg("direct", "no gateway", UPSTREAM),
        Leg("relay", "raw TCP relay", "relay"),
        Leg("nginx", "nginx", "nginx"),
        Leg("bare", "bare Starlette + httpx, chat", "bare"),
        Leg("bare-web", "bare Starlette + httpx, delta v1", "bare", path=WEB_PATH, end=WEB_END, bare="bare-web"),
        Leg("same", "Isthmus, chat to chat", "isthmus", "openai/bench-model"),
        Leg("cross", "Isthmus, Messages to chat", "isthmus", "anthropic/bench-model"),
        Leg("web", "Isthmus, ChatGPT Web to chat", "isthmus", "auto", bare="bare-web"),
        Leg("web-tools", "Isthmus, the same with tools", "isthmus", "auto", tools=TOOLS, bare="bare-web"),
        Leg("litellm", "LiteLLM, chat to chat", "litellm"),
        Leg("litellm-pass", "LiteLLM, its OpenAI passthrough", "litellm", path="/openai/v1/chat/completions"),
        Leg(
            "same-messages",
            "Isthmus, Messages to Messages",
            "isthmus",
            "anthropic/bench-model",
            "messages",
            in_brief=True,
        ),
        Leg("cross-messages", "Isthmus, chat to Messages", "isthmus", "openai/bench-model", "messages", in_brief=True),
        Leg(
            "same-responses",
            "Isthmus, Responses to Responses",
            "isthmus",
            "openai/bench-model",
            "responses",
            in_brief=True,
        ),
        Leg(
            "cross-responses",
            "Isthmus, chat to Responses",
            "isthmus",
            "deepseek/bench-model",
            "responses",
            in_brief=True,
        ),
        Leg("web-messages", "Isthmus, ChatGPT Web to Messages", "isthmus", "auto", "messages", in_brief=True),
        Leg("web-responses", "Isthmus, ChatGPT Web to Responses", "isthmus", "auto", "responses", in_brief=True),
        *(
            Leg(
                f"bare-{client}",
                f"Starlette + {client}",
                f"bare-{client}",
                path=WEB_PATH,
                end=WEB_END,
                bare="bare-web",
                is_extra=True,
            )
            for client in CLIENTS
            if client != "stock"
        ),
    )
}


def request_of(leg: Leg, ask: Ask) -> bytes:
    manner = MANNERS[leg.dialect]
    return http_request(leg.path or manner.path, KEY, manner.body(leg.model, ask))


def job(
    leg: Leg,
    port: int,
    order: Order,
    streams: int,
    requests: int,
    *,
    stream: bool = True,
    tools: int | None = None,
    history: int = 0,
    pause_s: float = 0,
    limit_s: float = 60,
) -> Job:
    """Return the job of driving this leg."""
    manner = MANNERS[leg.dialect]
    ask = Ask(order, stream, leg.tools if tools is None else tools, history)
    return Job(
        port=port,
        request=request_of(leg, ask),
        words=order.deltas * (manner.texts if stream else 1),
        end=leg.end or (manner.end if stream else b"}"),
        streams=streams,
        requests=requests,
        rate=order.rate,
        pause_s=pause_s,
        limit_s=limit_s,
    )
