"""Measures the CPU that candidates spend per delta and per request, in turn within one run; prints medians.

`python -m bench.run` compares the gateway with the stock passthrough; `--candidates` names others (the legs of
bench/passthrough.py). Everything runs on 127.0.0.1 in child processes that end with this one. CPU time is the
kernel's (user + system, all threads); only ratios within one run carry over to another machine.
"""

import argparse
import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from bench.load import Report
from bench.passthrough import LEGS

ROOT = Path(__file__).parent.parent
KEY = "bench-key"
START_LIMIT_S = 20.0
KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME", "LANG")
"""A developer's own tokens and proxies must not take part."""


class Load(Struct, frozen=True):
    """`requests` in all, `streams` at once, each answer of `deltas` deltas at `rate` a second (0: at once).

    `batch` deltas share an HTTP chunk.
    """

    name: str
    unit: str
    streams: int
    requests: int
    deltas: int
    rate: int = 0
    batch: int = 1


LOADS = (
    Load("per delta, 20 streams flat out, each its own chunk", "delta", streams=20, requests=100, deltas=4000),
    Load(
        "per delta, 20 streams flat out, 100 a chunk",
        "delta",
        streams=20,
        requests=100,
        deltas=4000,
        batch=100,
    ),
    Load("per delta, 40 streams, 50 a second", "delta", streams=40, requests=40, deltas=200, rate=50),
    Load("per request, 1 in flight", "request", streams=1, requests=500, deltas=1),
    Load("per request, 256 in flight", "request", streams=256, requests=2000, deltas=1),
)


class Candidate(Struct, frozen=True):
    name: str
    port: int
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(module: str, *arguments: str, port: int, **environment: str) -> Iterator[int]:
    """Run a module that serves `port` as a child process until the context ends; give its process id."""
    command = [sys.executable, "-m", module, "--port", str(port), *arguments]
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    process = subprocess.Popen(command, cwd=ROOT, env=kept | environment)
    try:
        wait_for(port, process)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not serve port {port}")


def start(name: str, upstream: str, stack: ExitStack) -> Candidate:
    port = free_port()
    if name == "isthmus":
        environment = gateway_environment(upstream)
        return Candidate(name, port, stack.enter_context(running("api", port=port, **environment)))
    arguments = ("--leg", name, "--upstream", upstream)
    return Candidate(name, port, stack.enter_context(running("bench.passthrough", *arguments, port=port)))


def gateway_environment(upstream: str) -> dict[str, str]:
    """Return settings under which the gateway takes the simulated upstream for ChatGPT Web."""
    claims = base64.urlsafe_b64encode(b'{"sub":"bench","exp":4102444800}').decode().rstrip("=")
    return {
        "AUTH_TOKENS": KEY,
        "CHATGPT_ACCESS_TOKENS": f"eyJhbGciOiJub25lIn0.{claims}.bench",
        "CHATGPT_BASE_URL": upstream,
        "LOG_LEVEL": "warning",
    }


def cpu_us(pid: int) -> float:
    """Return the microseconds that a process's threads have spent on a CPU.

    The first field of each thread's schedstat, in nanoseconds; the process's stat file has ticks of 10 ms.
    """
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1000


def drive(candidate: Candidate, load: Load) -> Report:
    options = {
        "port": candidate.port,
        "streams": load.streams,
        "requests": load.requests,
        "deltas": load.deltas,
        "rate": load.rate,
        "batch": load.batch,
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "bench.load", "--key", KEY, *arguments]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=180).stdout
    return msgspec.json.decode(output, type=Report)


def cost_us(candidate: Candidate, load: Load) -> float:
    """Return the microseconds of CPU that the candidate spends on each of the load's units."""
    before = cpu_us(candidate.pid)
    report = drive(candidate, load)
    count = report.deltas if load.unit == "delta" else report.requests
    return (cpu_us(candidate.pid) - before) / count


def measure(candidates: Sequence[Candidate], loads: Sequence[Load], rounds: int) -> Iterator[str]:
    """Yield a table: a row for each load, a column for each candidate."""
    yield " | ".join(["CPU µs", *(candidate.name for candidate in candidates)])
    for load in loads:
        costs: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
        for _ in range(rounds):
            for candidate in candidates:
                costs[candidate.name].append(cost_us(candidate, load))
        yield " | ".join([load.name, *(f"{median(costs[name]):.4g}" for name in costs)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", nargs="+", choices=["isthmus", *LEGS], default=["stock", "isthmus"])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        port = free_port()
        stack.enter_context(running("bench.mock_upstream", port=port))
        candidates = [start(name, f"http://127.0.0.1:{port}", stack) for name in arguments.candidates]
        for candidate in candidates:
            drive(candidate, Load("warm-up", "request", streams=20, requests=200, deltas=50))
        for row in measure(candidates, LOADS, arguments.rounds):
            print(row, flush=True)


if __name__ == "__main__":
    main()
