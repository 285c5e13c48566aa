"""One HTTP request as the four events that AWS makes of it, and the answer to each in one form.

The shapes are those of the AWS documentation: "Lambda proxy integration" (REST API v1, HTTP API v2), "Invoking Lambda
function URLs" and "Using Lambda with an Application Load Balancer".
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from tests.api.servers import KEY, chat_body

Json = dict[str, Any]

HOST = "isthmus.example"
SOURCE = "203.0.113.7"


class Request(Struct, frozen=True):
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    cookies: tuple[str, ...] = ()

    def all_headers(self) -> dict[str, str]:
        default = {"host": HOST, "x-forwarded-proto": "https", "x-forwarded-port": "443", "x-forwarded-for": SOURCE}
        if self.body:
            default["content-type"] = "application/json"
        return default | {"authorization": f"Bearer {KEY}"} | dict(self.headers)

    def carried_body(self) -> Json:
        """Return the body as events hold it: JSON as text, all else in base64."""
        if self.all_headers().get("content-type") == "application/json":
            return {"body": self.body.decode(), "isBase64Encoded": False}
        if not self.body:
            return {"body": None, "isBase64Encoded": False}
        return {"body": base64.b64encode(self.body).decode(), "isBase64Encoded": True}


def chat(prompt: object, **fields: Any) -> Request:
    return Request("POST", "/v1/chat/completions", json.dumps(chat_body(prompt, **fields)).encode())


PICTURE = Request("POST", "/v1/images/generations", b'{"prompt":"A red cat","response_format":"url"}')


def link_in(body: bytes) -> Request:
    """Return the request that follows the link to a picture, which must begin with the client's own address."""
    url: str = json.loads(body)["data"][0]["url"]
    assert url.startswith(f"https://{HOST}/")
    return Request("GET", url.removeprefix(f"https://{HOST}"))


def rest_v1(request: Request) -> Json:
    headers = request.all_headers() | ({"cookie": "; ".join(request.cookies)} if request.cookies else {})
    return {
        "resource": "/{proxy+}",
        "path": request.path,
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": request.path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "httpMethod": request.method,
            "path": f"/dev{request.path}",
            "stage": "dev",
            "identity": {"sourceIp": SOURCE},
        },
        **request.carried_body(),
    }


def http_v2(request: Request) -> Json:
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": "",
        "headers": request.all_headers(),
        **({"cookies": list(request.cookies)} if request.cookies else {}),
        "requestContext": {
            "accountId": "123456789012",
            "domainName": HOST,
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": SOURCE,
                "userAgent": "test",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:09:00:00 +0000",
            "timeEpoch": 1795251600000,
        },
        **request.carried_body(),
    }


def function_url(request: Request) -> Json:
    event = http_v2(request)
    context = event["requestContext"] | {"domainName": "abc123.lambda-url.us-east-1.on.aws", "apiId": "abc123"}
    return event | {"requestContext": context}


def load_balancer(request: Request) -> Json:
    headers = request.all_headers() | ({"cookie": "; ".join(request.cookies)} if request.cookies else {})
    target = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/isthmus/1"
    return {
        "requestContext": {"elb": {"targetGroupArn": target}},
        "httpMethod": request.method,
        "path": request.path,
        "multiValueQueryStringParameters": {},
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        **request.carried_body(),
    }


EVENTS: tuple[Callable[[Request], Json], ...] = (rest_v1, http_v2, function_url, load_balancer)


class Response(Struct, frozen=True):
    """An answer in one form, whichever event it is for. A header that was sent twice is there twice."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    was_base64: bool

    def header(self, name: str) -> str:
        return dict(self.headers)[name]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def json(self) -> Any:
        return json.loads(self.body)


def read_answer(answer: Json) -> Response:
    """Read what the handler returned for any of the events."""
    headers = [(name.lower(), value) for name, value in (answer.get("headers") or {}).items()]
    lists = (answer.get("multiValueHeaders") or {}).items()
    headers += [(name.lower(), value) for name, values in lists for value in values]
    headers += [("set-cookie", cookie) for cookie in answer.get("cookies") or ()]
    body = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
    return Response(answer["statusCode"], tuple(headers), body, answer["isBase64Encoded"])
