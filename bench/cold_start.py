"""Measures the cold start on AWS Lambda of the package as shipped, and that of fastapi with litellm beside it.

`make bench-cold` builds the package and an environment with fastapi, mangum and litellm, then runs this. Both handlers
run in turn under AWS's own runtime client on Python 3.12, against a Runtime API on this machine. Init is the time from
the start of the process until it asks for its first event; only ratios within one run carry over to another machine.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from msgspec import Struct

from tests.api.servers import SIMULATED
from tests.deploy.lambda_events import chat, function_url
from tests.deploy.lambda_function import PYTHON, ROOT, lambda_environ, need, unzip
from tests.deploy.lambda_runtime import PATIENCE_S, RuntimeApi

RIVAL = """
import litellm
from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()

@app.post("/v1/chat/completions")
async def chat(body: dict):
    return await litellm.acompletion(**{**body, "model": "gpt-4o-mini", "mock_response": "Hello"})

handler = Mangum(app, lifespan="off")
"""
"""A gateway as it is often built; it answers without an upstream."""

IMPORT = "import sys, time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


class Candidate(Struct, frozen=True):
    name: str
    folder: Path
    module: str
    environ: Mapping[str, str]

    def handler(self) -> str:
        return f"{self.module}.handler"


class Figures(Struct):
    """Seconds, one for each round."""

    imports: list[float] = []
    inits: list[float] = []
    answers: list[float] = []


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        candidates = (ours(arguments.package, Path(temporary)), rival(arguments.rival, Path(temporary)))
        figures = {candidate.name: Figures() for candidate in candidates}
        for number in range(arguments.rounds + 1):
            for candidate in candidates:
                measured = figures[candidate.name] if number else Figures()  # the first round fills the disk's cache
                measure(candidate, measured)
    report(figures, arguments.package)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the cold start on AWS Lambda.")
    parser.add_argument("--package", type=Path, default=ROOT / "build" / "lambda.zip")
    parser.add_argument("--rival", type=Path, required=True, help="a Python 3.12 with fastapi, mangum and litellm")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def ours(package: Path, temporary: Path) -> Candidate:
    folder = temporary / "task"
    unzip(package, folder)
    return Candidate("Isthmus", folder, "api.lambda_handler", {"PYTHONPATH": str(folder), **SIMULATED})


def rival(python: Path, temporary: Path) -> Candidate:
    folder = temporary / "rival"
    folder.mkdir()
    (folder / "rival.py").write_text(RIVAL)
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return Candidate("fastapi + mangum + litellm", folder, "rival", {"PYTHONPATH": f"{folder}:{packages}"})


def measure(candidate: Candidate, figures: Figures) -> None:
    with RuntimeApi() as api:
        environ = lambda_environ(api, candidate.folder) | dict(candidate.environ)
        script = IMPORT.format(candidate.module)
        done = subprocess.run([PYTHON, "-c", script], env=environ, capture_output=True, text=True, check=True)
        figures.imports.append(float(done.stdout))
        began = time.perf_counter()
        process = subprocess.Popen(
            [need(PYTHON), "-m", "awslambdaric", candidate.handler()],
            cwd=candidate.folder,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert api.waiting.wait(PATIENCE_S)
            figures.inits.append(time.perf_counter() - began)
            began = time.perf_counter()
            assert api.invoke(function_url(chat("Say hello")))["statusCode"] == 200
            figures.answers.append(time.perf_counter() - began)
        finally:
            process.kill()
            process.wait(PATIENCE_S)


def report(figures: Mapping[str, Figures], package: Path) -> None:
    print(f"{package.name}: {package.stat().st_size / 1e6:.2f} MB")
    print(f"{'median ms':30}{'import':>10}{'init':>10}{'first answer':>15}")
    for name, each in figures.items():
        imports, init, answer = (median(times) * 1000 for times in (each.imports, each.inits, each.answers))
        print(f"{name:30}{imports:10.0f}{init:10.0f}{answer:15.0f}")
    first, second = (median(each.inits) for each in figures.values())
    print(f"init ratio: {second / first:.1f}")


if __name__ == "__main__":
    main()
