"""Builds the AWS Lambda package: the gateway, the wheels it needs there, and byte code; the same bytes each time.

The wheels are those of `requirements.lock`, checked by its hashes and chosen for the platform that the package is for,
not for this machine. Python modules are shipped as byte code alone, which Lambda could not write beside their sources.
It is marked as not to be checked against a source, and fits one minor version of Python, so this runs under that
version only. The sources, and the columns that byte code keeps for tracebacks, would double the package; a traceback
names file and line without them. Docstrings and asserts (`python -OO`), which nobody reads there, are a tenth of it.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = (3, 12)
"""The version of Lambda's runtime in serverless.yml."""

TASK_ROOT = "/var/task"
"""Where Lambda unpacks a function: what tracebacks show as the place of a file."""

GLIBC = ("2014", "_2_17", "_2_28", "_2_34")
"""The manylinux tags that Amazon Linux 2023 runs (glibc 2.34; PEP 599, PEP 600)."""

LEFT_OUT = frozenset({"httptools", "uvloop"})
"""They are faster for many requests at once, but an instance has one at a time, and they are 5 of 7 MB."""

SOURCES = ("api", "core")
NOT_SHIPPED = (
    "bin",
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "*.dist-info/sboms",
    "*/tests",
    "*/benchmarks",
    "**/*.pyi",
    "**/py.typed",
)
"""What nobody reads when the gateway runs. The names, versions and licences of the dependencies stay."""

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold."""


def main() -> None:
    if sys.version_info[:2] != PYTHON:
        sys.exit(f"the package is for Python {PYTHON[0]}.{PYTHON[1]}, whose byte code only that version can write")
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        install(tree, arguments.machine)
        for source in SOURCES:
            shutil.copytree(ROOT / source, tree / source, ignore=shutil.ignore_patterns("__pycache__"))
        prune(tree)
        compile_all(tree)
        write_zip(tree, arguments.output)
    sys.stdout.write(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build the AWS Lambda package.")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "lambda.zip")
    parser.add_argument("--machine", choices=("x86_64", "aarch64"), default="x86_64", help="aarch64 is Lambda's arm64")
    return parser.parse_args()


def install(tree: Path, machine: str) -> None:
    """Put the locked wheels for Lambda into the tree. pip judges each against its hashes."""
    version = f"{PYTHON[0]}{PYTHON[1]}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--root-user-action=ignore"]
    command += ["--target", str(tree), "--no-deps", "--no-compile", "--require-hashes", "--only-binary", ":all:"]
    command += ["--implementation", "cp", "--python-version", version]
    command += [f"--abi={abi}" for abi in (f"cp{version}", "abi3", "none")]
    command += [f"--platform=manylinux{glibc}_{machine}" for glibc in GLIBC]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as chosen:
        chosen.writelines(f"{requirement}\n" for requirement in requirements())
        chosen.flush()
        subprocess.run([*command, "--requirement", chosen.name], check=True)


def requirements() -> Iterator[str]:
    """Yield the locked requirements that are shipped, each with its hashes in one line."""
    lines = (ROOT / "requirements.lock").read_text().replace("\\\n", " ").splitlines()
    for line in lines:
        name = re.match(r"[a-z0-9-]+(?===)", line)
        if name and name[0] not in LEFT_OUT:
            yield line


def prune(tree: Path) -> None:
    for pattern in NOT_SHIPPED:
        for path in list(tree.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def compile_all(tree: Path) -> None:
    """Put byte code in the place of every module."""
    command = [sys.executable, "-X", "no_debug_ranges", "-m", "compileall", "-q", "-b", "-o", "2"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(tree), "-p", TASK_ROOT, str(tree)]
    subprocess.run(command, check=True)
    for path in tree.rglob("*.py"):
        path.unlink()


def write_zip(tree: Path, output: Path) -> None:
    """Write the files in order, with one time and with the only permissions that matter: may it be executed."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(output, "w") as archive:
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(tree).as_posix(), EARLIEST)
            entry.create_system = 3  # Unix, so that the permissions below count
            entry.external_attr = (0o100755 if path.suffix == ".sh" else 0o100644) << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)


if __name__ == "__main__":
    main()
