"""What a figure was measured on: processor, kernel, versions, date."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.candidates import Peers

PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "httpx", "msgspec")
ASK_LITELLM = "from importlib.metadata import version; print(version('litellm'))"
LIMIT_S = 20


def describe(peers: Peers) -> dict[str, str]:
    described = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "load before": f"{os.getloadavg()[0]:.2f} (one-minute average)",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }
    if peers.litellm:
        described["LiteLLM"] = said_by([str(peers.litellm.with_name("python")), "-c", ASK_LITELLM])
    if peers.nginx:
        described["nginx"] = said_by([peers.nginx, "-v"]).removeprefix("nginx version: ")
    return described


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def said_by(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    return (done.stdout + done.stderr).strip()
