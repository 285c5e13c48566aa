"""`uv.lock`, from which Vercel installs, fits every machine and agrees with pyproject.toml and the other locks."""

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
PYPI = {"pypi.org", "files.pythonhosted.org"}

Toml = dict[str, Any]


def packages() -> list[Toml]:
    locked: list[Toml] = read("uv.lock")["package"]
    return locked


def read(name: str) -> Toml:
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def pins(name: str) -> set[str]:
    """Return the `package==version` lines of a requirements file."""
    return {line.split()[0] for line in (ROOT / name).read_text().splitlines() if line[:1].isalnum()}


def hosts(package: Toml) -> set[str]:
    files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())]
    addresses = [file["url"] for file in files] + [package["source"].get("registry", "")]
    return {host for address in addresses if (host := urlsplit(address).hostname)}


def test_it_names_no_host_but_pypi() -> None:
    assert set.union(*(hosts(package) for package in packages())) == PYPI


def test_every_file_has_its_hash() -> None:
    files = [wheel for package in packages() for wheel in package.get("wheels", ())]
    assert files
    assert all(file["hash"].startswith("sha256:") for file in files)


def test_it_is_of_this_pyproject() -> None:
    """A dependency that was added or changed without `make lock` would be missing, or other, on Vercel."""
    project = read("pyproject.toml")
    [own] = [package for package in packages() if package["name"] == project["project"]["name"]]
    declared = {
        f"{each['name']}{each['specifier']}" for each in own["metadata"]["requires-dist"] if "marker" not in each
    }
    assert declared == set(project["project"]["dependencies"])


def test_the_requirements_are_its_own() -> None:
    locked = {f"{package['name']}=={package['version']}" for package in packages() if "version" in package}
    assert pins("requirements-dev.lock") <= locked
    assert pins("requirements.lock") < pins("requirements-dev.lock")
