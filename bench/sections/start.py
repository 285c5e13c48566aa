"""Cold: how long an import takes in a new interpreter, and a new process until its first whole answer."""

import subprocess
import sys
import time
from pathlib import Path

from msgspec import Struct

from bench.candidates import Peers
from bench.children import LAST_WORDS, ROOT, NotServing, environment
from bench.cold_start import IMPORT
from bench.ground import Ground, run_client
from bench.legs import Leg, job
from bench.order import Order
from bench.results import Start
from bench.sections.pace import Bench

IMPORT_LIMIT_S = 60.0
IMPORT_ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""Without it LiteLLM asks the Internet for a price list while it is imported."""

FIRST_ANSWERS = ("bare", "web", "litellm")
"""The legs whose first answer is timed."""


def measure_start(bench: Bench) -> None:
    """Measure imports and first answers."""
    end, found = bench.clock.section_end("start"), bench.results.start
    named = {leg.name for leg in bench.legs}

    def measure_import(item: Import, number: int) -> None:
        with bench.noting(f"import of {item.modules}"):
            if not number:
                import_s(item)  # fills the disk's cache
            found.setdefault(item.leg, Start()).imports_s.append(import_s(item))

    def measure_answer(leg: Leg, _: int) -> None:
        with bench.noting(f"{leg.title}: first answer"):
            found.setdefault(leg.name, Start()).answers_s.append(first_answer_s(bench.ground, leg))

    imported = [item for item in imports(bench.ground.peers) if item.leg in named]
    bench.in_turn("imports", imported, end, measure_import)
    bench.in_turn("first answers", [leg for leg in bench.legs if leg.name in FIRST_ANSWERS], end, measure_answer)


class Import(Struct, frozen=True):
    """What is imported for a leg, with which interpreter."""

    leg: str
    python: Path
    modules: str


def imports(peers: Peers) -> list[Import]:
    own = Path(sys.executable)
    found = [Import("bare", own, "starlette.applications, httpx"), Import("web", own, "api.index")]
    if peers.litellm:
        found.append(Import("litellm", peers.litellm.with_name("python"), "litellm"))
    return found


def import_s(item: Import) -> float:
    """Return the seconds an import takes. Raises `NotServing` when it fails."""
    done = subprocess.run(
        [str(item.python), "-c", IMPORT.format(item.modules)],
        cwd=ROOT,
        env=environment(IMPORT_ENVIRONMENT),
        capture_output=True,
        text=True,
        timeout=IMPORT_LIMIT_S,
    )
    if done.returncode:
        raise NotServing(done.stderr.strip()[-LAST_WORDS:])
    return float(done.stdout.split()[-1])


def first_answer_s(ground: Ground, leg: Leg) -> float:
    began = time.monotonic()
    with ground.fresh(leg) as candidate:
        listening_s = time.monotonic() - began
        report = run_client(job(leg, candidate.port, Order(1), 1, 1))
        return listening_s + report.wall_s
