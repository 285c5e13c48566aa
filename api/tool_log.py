"""The tool trace (`DEBUG_TOOL_LOG`): what the model said in each attempt and what came of it, as JSON lines.

It holds content, so it is off unless a path is set; `stderr` is the path for serverless.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from msgspec import json

from core.settings import SettingsError

if TYPE_CHECKING:
    from core.tools.lifter import Lifter


class ToolLog:
    """Writes the trace to a path. Raises `SettingsError` at once for one that cannot be written."""

    def __init__(self, path: str) -> None:
        self.path = path
        if path not in ("", "stderr"):
            self._append("")

    def write(self, request_id: str | None, attempt: int, lifter: Lifter) -> None:
        """Add one line about an attempt, from 0 on."""
        if not self.path:
            return
        again, error = lifter.again, lifter.error
        line = {
            "request_id": request_id,
            "attempt": attempt,
            "said": lifter.said,
            "again": again.kind if again else None,
            "reason": again.reason if again else error.message if error else None,
            "error": error.code if error else None,
        }
        text = json.encode(line).decode() + "\n"
        if self.path == "stderr":
            sys.stderr.write(text)
            return
        self._append(text)

    def _append(self, text: str) -> None:
        from pathlib import Path

        try:
            with Path(self.path).open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise SettingsError([f"DEBUG_TOOL_LOG cannot be written: {error.strerror}"]) from error
