"""What the deployment tests share: each platform's build, made once."""

from pathlib import Path

import pytest

from tests.deploy.lambda_function import build_package, unzip
from tests.deploy.vercel_build import build, copy_project


@pytest.fixture(scope="session")
def vercel_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, as it may lie in the folder of somebody who deploys it."""
    folder = tmp_path_factory.mktemp("vercel")
    copy_project(folder)
    return folder


@pytest.fixture(scope="session")
def vercel_output(vercel_copy: Path) -> Path:
    return build(vercel_copy)


@pytest.fixture(scope="session")
def vercel_function(vercel_output: Path) -> Path:
    """The function's folder, as `vercel build` made it."""
    return vercel_output / "functions" / "python.func"


@pytest.fixture(scope="session")
def lambda_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for AWS Lambda, as `make package` builds it."""
    output = tmp_path_factory.mktemp("lambda") / "lambda.zip"
    build_package(output)
    return output


@pytest.fixture(scope="session")
def lambda_folder(lambda_package: Path) -> Path:
    """The package unpacked, as under /var/task."""
    folder = lambda_package.parent / "task"
    unzip(lambda_package, folder)
    return folder
