"""The AWS Lambda entry. Mangum gives each answer whole, streams too: AWS's Python runtime only buffers."""

from mangum import Mangum
from mangum.types import LambdaContext, LambdaEvent

from api.index import app

_respond = Mangum(app, lifespan="off")


def handler(event: LambdaEvent, context: LambdaContext) -> dict[str, object]:
    """Answer an event of API Gateway, a Function URL or a load balancer; leave any other alone.

    Mangum raises on events that are not HTTP, such as a scheduled warm-up.
    """
    if "requestContext" not in event:
        return {"handled": False, "reason": "not an HTTP event"}
    return _respond(event, context)
