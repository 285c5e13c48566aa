"""Model name to targets: which upstreams may answer, in order, and what each calls the model.

The first rule that holds decides: a route the operator wrote; `upstream/model`; a vendor that claims the name; the
default upstream. No name is mapped to another unless a route says so (C2-9).
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal, TypeVar

from core.accounts import Principal
from core.contracts import Target, Upstream
from core.errors import Forbidden, NotConfigured, Unsupported
from core.request import ChatRequest, File, Image, Message, Part, ToolResult
from core.vendors import ModelRoute, Vendor

Service = TypeVar("Service")


class Router:
    """The route table of one app instance. `default` names the upstream of names that nothing else claims.

    `own` names the upstream that callers with an account of their own are served by, and `beside` the other one that
    accounts open: these alone, for the vendors' keys are the operator's. `turns` says which of the two answers.
    """

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        vendors: Sequence[Vendor] = (),
        routes: Sequence[ModelRoute] = (),
        default: str | None = None,
        own: str | None = None,
        beside: str | None = None,
        turns: Literal["web", "codex", "auto"] = "web",
    ) -> None:
        first = next(iter(upstreams))
        self._upstreams = upstreams
        self._vendors = vendors
        self._routes = routes
        self._default = default or first
        self._own = own or first
        self._of_accounts = {self._own, *([beside] if beside else ())}
        self._beside = beside
        self._turns = turns

    def resolve(
        self, model: str, principal: Principal, affinity: str = "", request: ChatRequest | None = None
    ) -> tuple[Target, ...]:
        """Return the targets of a model name, the preferred one first. Raises `Forbidden`.

        `request` is the turn to answer, `None` for what is no turn.
        """
        if principal.kind != "pool":
            return self._own_targets(model, principal, request)
        for route in self._routes:
            if fnmatchcase(model, route.pattern):
                return tuple(Target(self._upstreams[name], given or model) for name, given in route.targets)
        prefix, _, rest = model.partition("/")
        if rest and prefix in self._upstreams:
            return (Target(self._upstreams[prefix], rest),)
        claimed = [vendor for vendor in self._vendors if any(fnmatchcase(model, each) for each in vendor.models)]
        if claimed:
            ordered = sorted(claimed, key=lambda vendor: _rank(vendor, affinity))
            return tuple(Target(self._upstreams[vendor.name], model) for vendor in ordered)
        if self._default == self._own:
            return self._chatgpt(model, principal, request)
        return (Target(self._upstreams[self._default], model),)

    def offer(self, service: type[Service], model: str, principal: Principal) -> tuple[Service, str]:
        """Return who offers a service for a model, and what it calls the model. Raises `Unsupported`, `Forbidden`."""
        targets = self.resolve(model, principal)
        for target in targets:
            if isinstance(target.upstream, service):
                return target.upstream, target.model
        names = ", ".join(target.upstream.name for target in targets)
        raise Unsupported(f"model {model[:80]!r} leads to {names}, which does not offer this", param="model")

    def open_to(self, principal: Principal) -> tuple[Upstream, ...]:
        """Return the upstreams whose models a caller may ask for.

        One that has accounts of callers only, and is not the default, has nothing for holders of a gateway key.
        """
        if principal.kind != "pool":
            return tuple(self._upstreams[name] for name in self._upstreams if name in self._of_accounts)
        idle = self._of_accounts if self._default != self._own else set()
        return tuple(upstream for name, upstream in self._upstreams.items() if name not in idle)

    def fixed_names(self, principal: Principal) -> tuple[tuple[str, str], ...]:
        """Return the operator's own model names, each with its first upstream: the routes that are no patterns."""
        if principal.kind != "pool":
            return ()
        plain = (route for route in self._routes if not any(sign in route.pattern for sign in "*?["))
        return tuple((route.pattern, route.targets[0][0]) for route in plain)

    def _own_targets(self, model: str, principal: Principal, request: ChatRequest | None) -> tuple[Target, ...]:
        prefix, _, rest = model.partition("/")
        if not rest or prefix not in self._upstreams:
            return self._chatgpt(model, principal, request)
        if prefix not in self._of_accounts:
            message = f"the upstream {prefix!r} is for holders of a gateway key"
            raise Forbidden(message, param="model", code="upstream_not_allowed")
        return (Target(self._upstreams[prefix], rest),)

    def _chatgpt(self, model: str, principal: Principal, request: ChatRequest | None) -> tuple[Target, ...]:
        """Return what answers for ChatGPT's accounts: with `auto` the web goes on where the other one refuses."""
        web = Target(self._upstreams[self._own], model)
        if self._beside is None or principal.kind == "anonymous" or request is None or not is_text_chat(request):
            return (web,)
        other = Target(self._upstreams[self._beside], model)
        if self._turns == "codex":
            return (other,)
        return (other, web) if self._turns == "auto" and request.tools else (web,)


def is_text_chat(request: ChatRequest) -> bool:
    """Say whether a turn needs nothing that ChatGPT Web alone has: kept conversations and files, pictures, research."""
    hints = request.hints
    if hints.image_generation or hints.deep_research or hints.code_interpreter:
        return False
    if request.continues is not None or request.previous is not None:
        return False
    return not any(_has_kept_file(message) for message in request.messages)


def _has_kept_file(message: Message) -> bool:
    parts: list[Part] = []
    for part in message.parts:
        parts += part.content if isinstance(part, ToolResult) else (part,)
    return any(isinstance(part, Image | File) and part.file_id is not None for part in parts)


def _rank(vendor: Vendor, affinity: str) -> float:
    """Weighted rendezvous hashing: instances agree without talking, and each vendor gets its share of the sessions."""
    digest = hashlib.blake2b(affinity.encode(errors="surrogatepass"), key=vendor.name.encode(), digest_size=8).digest()
    chance = (int.from_bytes(digest) + 1) / (1 << 64)
    return -math.log(chance) / vendor.weight if chance < 1 else 0.0


def offering(service: type[Service], upstreams: Mapping[str, Upstream]) -> Service:
    """Return the first upstream that offers a service, such as `FileKeeper`. Raises `NotConfigured`."""
    for upstream in upstreams.values():
        if isinstance(upstream, service):
            return upstream
    raise NotConfigured("no upstream of this gateway offers that", code="not_configured")
