"""What the route table names without loading it must be there when it is asked for."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from api import app, later
from api.later import Later

NAMED = sorted(
    (module, node.attr)
    for node in ast.walk(ast.parse(Path(app.__file__).read_text()))
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    for module in [node.value.id]
    if isinstance(getattr(app, module, None), Later)
)


def test_there_are_some() -> None:
    assert {("audio", "speech"), ("responses", "upgrade")} <= set(NAMED)


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_each_named_handler_is_there(module: str, name: str) -> None:
    handler = getattr(import_module(f"api.{module}"), name)
    assert inspect.iscoroutinefunction(handler)


@pytest.mark.anyio
async def test_a_handler_is_loaded_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    class Module:
        async def greet(self, request: Request) -> Response:
            return PlainTextResponse(f"Hello {request.url.path}")

    def load(name: str) -> Module:
        loaded.append(name)
        return Module()

    monkeypatch.setattr(later, "import_module", load)
    greet = Later("greetings").greet
    assert loaded == []
    answer = await greet(Request({"type": "http", "path": "/x", "headers": [], "server": ("h", 80)}))
    assert (answer.body, loaded) == (b"Hello /x", ["api.greetings"])
