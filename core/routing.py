"""Model name to target: which upstream answers, and what it calls the model."""

from collections.abc import Mapping

from core.contracts import Target, Upstream


def resolve(model: str, upstreams: Mapping[str, Upstream]) -> Target:
    """Return the target of a model name. The name goes on as it is: nothing is mapped (C2-9)."""
    return Target(next(iter(upstreams.values())), model)
