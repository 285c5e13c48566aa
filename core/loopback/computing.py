"""Turns in which the python tool runs: its code, what it printed, a chart, a file that the answer links to.

Shapes from reference chatgpt-web 3.7, 5.5 and 9.
"""

from collections.abc import Callable
from uuid import uuid4

from msgspec import Struct

from core.loopback.directives import PythonSwitches
from core.loopback.messages import Message, code_content
from core.loopback.pictures import png
from core.loopback.refusals import Json

CHART_SIDE = 32
LOST_CHART = "file_lost"
"""The id of a chart that nobody can have."""

_TOOL = "python"

Keep = Callable[[str, bytes], str]
"""Puts bytes among the files of the account, under a path of the sandbox, and returns their id."""


class Computing(Struct, frozen=True):
    """What the tool does: `code` is its call, still empty, `source` what it says, `result` what came of it."""

    code: Message
    source: str
    result: Message


def compute(switches: PythonSwitches, identity: Json, now: float, keep: Keep) -> Computing:
    """Return the call and its result; the files are made at once."""
    if switches.file is not None:
        keep(path_of(switches.file), f"made by: {switches.code}\n".encode())
    printed = {"message_type": "stream", "stream_name": "stdout", "sender": "server", "text": switches.output}
    aggregate: Json = {
        "status": "success",
        "code": switches.code,
        "final_expression_output": None,
        "in_kernel_exception": None,
        "messages": [printed, *_chart(switches, keep)],
        "jupyter_messages": [],
    }
    content: Json = {"content_type": "execution_output", "text": switches.output}
    code = Message(
        id=str(uuid4()),
        role="assistant",
        content=code_content("", "python"),
        create_time=now,
        status="in_progress",
        metadata=identity,
        recipient=_TOOL,
    )
    result = Message(
        id=str(uuid4()),
        role="tool",
        name=_TOOL,
        content=content,
        create_time=now,
        metadata=identity | {"aggregate_result": aggregate},
    )
    return Computing(code, switches.code, result)


def mentioned(switches: PythonSwitches, text: str) -> str:
    """Return the text with a link to the file that the tool wrote, unless it has one."""
    if switches.file is None or "sandbox:" in text:
        return text
    return f"{text} [{switches.file}](sandbox:{path_of(switches.file)})"


def path_of(name: str) -> str:
    return f"/mnt/data/{name}"


def _chart(switches: PythonSwitches, keep: Keep) -> list[Json]:
    if not switches.chart:
        return []
    lost = switches.lost
    identity = LOST_CHART if lost else keep(path_of("chart.png"), png(switches.code, CHART_SIDE))
    return [{"message_type": "image", "sender": "server", "image_url": f"file-service://{identity}"}]
