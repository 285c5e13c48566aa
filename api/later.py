"""Handlers that are loaded when they are first asked: a cold start pays for what is used, and for nothing else."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any


class Later:
    """Stands in a route table for a module of `api`; each of its names is a handler of that module."""

    def __init__(self, name: str) -> None:
        self._module = f"api.{name}"

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)

        async def handler(*parts: Any) -> Any:
            return await getattr(import_module(self._module), name)(*parts)

        setattr(self, name, handler)
        return handler
