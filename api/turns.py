"""A turn that the gateway itself takes, for a service that needs a model's answer: the layers of any turn, folded."""

from functools import partial

from msgspec import structs
from starlette.types import Message, Receive, Scope

from api.events import EXTENSION
from api.handlers import answer, gateway_of
from api.middleware.fallback import Fallback
from api.middleware.tools import Tools
from api.routing import stack
from core.contracts import Context, Exchange, Target
from core.errors import GatewayError
from core.fold import Fold, Response
from core.request import ChatRequest
from core.wire.openai_chat import OPENAI_CHAT


async def take_turn(
    request: ChatRequest, targets: tuple[Target, ...], context: Context, scope: Scope, receive: Receive
) -> tuple[Response, Target]:
    """Return the whole answer of the first target that gives one, and that target.

    Raises `GatewayError`, without the name of a field: the caller has sent no such request.
    """
    gateway = gateway_of(scope)
    app = stack(answer, partial(Fallback, breaker=gateway.breaker), partial(Tools, settings=gateway.settings))
    exchange = Exchange(
        **structs.asdict(context), dialect=OPENAI_CHAT, request=request, target=targets[0], fallbacks=targets[1:]
    )
    folding, answered = Fold(), targets[0]

    async def take(message: Message) -> None:
        nonlocal answered
        answered = message.get("target", answered)
        folding.add(message["events"])

    extensions = {**scope.get("extensions", {}), EXTENSION: {}}
    try:
        await app({**scope, "exchange": exchange, "extensions": extensions}, receive, take)
    except GatewayError as error:
        error.param = None
        raise
    return folding.response(), answered
