"""Recorded streams, replayed byte for byte, one frame for each block."""

import re
from collections.abc import Iterator

from core.loopback.directives import Directive
from core.loopback.refusals import Refused
from core.loopback.turns import Frame
from core.loopback.world import World

_BLOCK_END = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")


def recording(world: World, directive: Directive) -> Iterator[Frame]:
    """Return the frames of the capture that a directive names; raise `Refused` 400 when there is none of that name."""
    paths = sorted(world.captures.rglob("*.sse")) if world.captures else []
    found = next((path for path in paths if directive.capture in (path.name, path.stem)), None)
    if found is None:
        known = ", ".join(path.stem for path in paths) or "none"
        raise Refused(400, {"detail": f"loopback directive: unknown capture {directive.capture!r}; known: {known}"})
    blocks = _BLOCK_END.split(found.read_bytes())
    return (Frame(block, directive.delay_ms) for block in blocks if block)
