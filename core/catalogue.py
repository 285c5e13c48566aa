"""The models a caller may ask for, over all upstreams: every id of the list leads back to its model."""

import asyncio

from msgspec import Struct

from core.accounts import Principal
from core.contracts import Upstream
from core.request import ChatRequest, Message, Text
from core.routing import Router
from core.transport import Transport

_PLAIN = ChatRequest("", (Message("user", (Text(""),)),))
"""A turn that asks for nothing but an answer: where such turns go, a plain name leads."""


class Offer(Struct, frozen=True):
    """A model by the id that a request may name, and the upstream that it leads to first."""

    id: str
    upstream: str


async def offers(router: Router, principal: Principal, transport: Transport) -> list[Offer]:
    """Return the models for a caller, each id once: the operator's own names, then each upstream's list.

    The upstreams are asked side by side; one that cannot be asked has the list that was last known of it.
    """
    upstreams = router.open_to(principal)
    lists = await asyncio.gather(*(upstream.model_names(transport) for upstream in upstreams))
    found = {name: Offer(name, upstream) for name, upstream in router.fixed_names(principal)}
    for upstream, names in zip(upstreams, lists, strict=True):
        for name in names:
            if identity := _id_of(router, principal, upstream, name):
                found.setdefault(identity, Offer(identity, upstream.name))
    return list(found.values())


def _id_of(router: Router, principal: Principal, upstream: Upstream, model: str) -> str | None:
    """Return what leads to a model: its plain name where that does, else `upstream/model`, else nothing."""
    for identity in (model, f"{upstream.name}/{model}"):
        targets = router.resolve(identity, principal, request=_PLAIN)
        if any(target.upstream is upstream and target.model == model for target in targets):
            return identity
    return None
