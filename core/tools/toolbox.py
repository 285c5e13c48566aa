"""The tools that may be called: which one a call means, and whether its arguments can be used."""

import json
import re
from collections.abc import Mapping

from core.request import Tool
from core.tools.foreign import SHELL
from core.tools.schema import violation

_SHELL_NAME = re.compile("shell|bash|exec|command|terminal", re.IGNORECASE)
_CMD_KEY = re.compile(r'"cmd"(?=\s*:)')


class Toolbox:
    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self._tools = tools

    def named(self, name: str) -> Tool | None:
        """Return the tool of this name; `SHELL` means the one that looks like a shell, if there is just one."""
        if name != SHELL:
            return self._tools.get(name)
        shells = [tool for tool in self._tools.values() if _SHELL_NAME.search(tool.name)]
        return shells[0] if len(shells) == 1 else None

    def unknown(self, name: str) -> str:
        """Return why a call of this name is of no use."""
        fault = f"there is no tool {name!r}" if name else "its tag does not name a tool"
        return f"{fault}; the tools are: {', '.join(map(repr, self._tools))}"


def unusable(tool: Tool, arguments: str) -> str:
    """Return why these arguments cannot be used, empty when they can."""
    if tool.kind == "custom":
        return ""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError) as error:
        return f"the arguments are not JSON: {error}"
    if not isinstance(value, dict):
        return "the arguments are no JSON object"
    return violation(tool.parameters, value) if tool.parameters is not None else ""


def fitting(tool: Tool, name: str, arguments: str) -> str:
    """Return the arguments of a foreign call to `name` as its tool takes them."""
    if tool.kind == "custom":
        return _free_text(arguments)
    parameters = bytes(tool.parameters or b"")
    if name == SHELL and b'"command"' in parameters and b'"cmd"' not in parameters:
        return _CMD_KEY.sub('"command"', arguments, count=1)
    return arguments


def _free_text(arguments: str) -> str:
    """Return the one text that an object holds, for a tool that takes no object; else the object as it stands."""
    try:
        decoded = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    values = list(decoded.values()) if isinstance(decoded, dict) else []
    return values[0] if len(values) == 1 and isinstance(values[0], str) else arguments
