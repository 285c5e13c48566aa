"""The AWS Lambda entry. Mangum gives each answer whole, streams too: AWS's Python runtime only buffers.

The function that streams is started by lambda_stream.sh instead.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.types import LambdaContext
from starlette.types import ASGIApp

from api.index import app
from api.lambda_payload import Payload

Handler: TypeAlias = Callable[[Any, LambdaContext], dict[str, object]]


def handler_for(app: ASGIApp) -> Handler:
    """Return a handler that answers events of API Gateway, Function URLs and load balancers, and leaves others alone.

    Mangum raises on events that are not HTTP, such as a scheduled warm-up.
    """
    respond = Mangum(Payload(app, DEFAULT_TEXT_MIME_TYPES), lifespan="off")

    def handle(event: Any, context: LambdaContext) -> dict[str, object]:
        if not is_http(event):
            return {"handled": False, "reason": "not an HTTP event"}
        return respond(event, context)

    return handle


def is_http(event: Any) -> bool:
    """Tell by what Mangum goes by: a load balancer's mark, a payload version (v2, Function URL), a resource (REST)."""
    if not isinstance(event, dict) or not isinstance(context := event.get("requestContext"), dict):
        return False
    return "elb" in context or "version" in event or "resource" in event


handler = handler_for(app)
