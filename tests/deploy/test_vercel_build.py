"""What is deployed to Vercel: one function, without what it does not need, and nothing that anybody may fetch."""

import json
from pathlib import Path

import pytest

from tests.deploy.vercel_build import uploaded

pytestmark = pytest.mark.deploy

OF_THE_BUILD = {".vc-config.json", "vc__handler__python.py"}
NOT_IN_THE_FUNCTION = {"uv.lock", "public/robots.txt"}
"""What is sent for the build and for the static files only."""


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def own_files(function: Path) -> set[str]:
    """Return the files of a function that come from the project."""
    names = {name for name in files_of(function) if not name.startswith("_vendor/")}
    return {name for name in names if "__pycache__" not in name} - OF_THE_BUILD


def test_there_is_one_function_and_every_path_leads_to_it(vercel_output: Path, vercel_function: Path) -> None:
    assert [path.name for path in (vercel_output / "functions").iterdir()] == [vercel_function.name]
    routes = json.loads((vercel_output / "config.json").read_text())["routes"]
    to_a_function = {route["dest"]: route["src"] for route in routes if "dest" in route and "status" not in route}
    assert to_a_function == {"/python": "/(.*)"}


def test_the_function_has_the_settings_of_vercel_json(vercel_function: Path) -> None:
    """A path in `functions` that fits nothing is ignored in silence: what counts is the function's own file."""
    config = json.loads((vercel_function / ".vc-config.json").read_text())
    assert config["maxDuration"] == 300
    assert config["runtime"] == "python3.12"
    assert config["supportsCancellation"] is True
    # Answers of a streaming function have no limit of size (docs/deploy.md, "Limits").
    assert config["supportsResponseStreaming"] is True


def test_only_the_public_folder_can_be_fetched(vercel_output: Path) -> None:
    assert files_of(vercel_output / "static") == {"robots.txt"}


def test_the_function_holds_the_gateway_and_nothing_else_of_the_project(vercel_function: Path) -> None:
    files = own_files(vercel_function)
    assert {name.partition("/")[0] for name in files} == {
        ".python-version",
        "LICENSE",
        "api",
        "core",
        "pyproject.toml",
        "vercel.json",
    }
    assert {"api/index.py", "core/settings.py"} <= files


def test_byte_code_is_part_of_the_function(vercel_function: Path) -> None:
    """Without it each cold start compiles everything anew: the disk is read-only."""
    compiled = {"api/__pycache__/index.cpython-312.pyc", "_vendor/starlette/__pycache__/routing.cpython-312.pyc"}
    assert compiled <= files_of(vercel_function)


def test_the_packages_are_those_of_the_lock_and_the_runtime(vercel_function: Path) -> None:
    lock = Path(__file__).parents[2] / "requirements.lock"
    locked = {line.split()[0] for line in lock.read_text().splitlines() if line[:1].isalpha()}
    installed = {path.name.removesuffix(".dist-info") for path in (vercel_function / "_vendor").glob("*.dist-info")}
    pinned = {"==".join(name.replace("_", "-").rsplit("-", 1)) for name in installed}
    others = {package.partition("==")[0] for package in pinned - locked}
    assert others == {"pip", "vercel-runtime"}


def test_the_function_is_far_below_the_platforms_limit(vercel_function: Path) -> None:
    size = sum(path.stat().st_size for path in vercel_function.rglob("*") if path.is_file())
    print(f"the function has {size / 1e6:.1f} MB, uncompressed")
    assert size < 30e6


def test_what_is_sent_is_what_the_function_needs(vercel_copy: Path, vercel_function: Path) -> None:
    """`.vercelignore` and `excludeFiles` say the same, so the build there is the build here; no secret is sent."""
    assert uploaded(vercel_copy) == own_files(vercel_function) | NOT_IN_THE_FUNCTION
