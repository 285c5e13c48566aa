"""What `make package` and serverless.yml make: the zip, and the CloudFormation template that osls writes for it."""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.lambda_function import PYTHON, ROOT, build_package, need

pytestmark = pytest.mark.deploy

OSLS = ROOT / "tests" / "deploy" / "node_modules" / ".bin" / "osls"
CFN_LINT = ROOT / ".venv-deploy" / "bin" / "cfn-lint"

LARGEST_BYTES = 3_000_000
UNCHECKED_HASH = 1
"""The flags of byte code that is never compared with its source (PEP 552)."""

IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
for top in ("api", "core"):
    for module in pkgutil.walk_packages([f"{sys.argv[1]}/{top}"], f"{top}."):
        importlib.import_module(module.name)
"""

Json = dict[str, Any]


def names(package: Path) -> list[str]:
    with zipfile.ZipFile(package) as archive:
        return archive.namelist()


def test_the_same_sources_make_the_same_bytes(lambda_package: Path, tmp_path: Path) -> None:
    build_package(tmp_path / "again.zip")
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (lambda_package, tmp_path / "again.zip")}
    assert len(digests) == 1


def test_the_package_is_small(lambda_package: Path) -> None:
    assert lambda_package.stat().st_size < LARGEST_BYTES


def test_the_package_holds_nothing_that_is_not_run(lambda_package: Path) -> None:
    tops = {name.partition("/")[0] for name in names(lambda_package)}
    assert {"api", "core", "mangum", "uvicorn"} <= tops
    assert not tops & {"tests", "docs", "bench", "bin", "pip", "uvloop", "httptools", "awslambdaric"}
    assert not [name for name in names(lambda_package) if "/tests/" in name or name.endswith((".pyi", ".env"))]


def test_every_module_is_byte_code_that_needs_no_source(lambda_package: Path) -> None:
    with zipfile.ZipFile(lambda_package) as archive:
        flags = {archive.read(name)[4:8] for name in archive.namelist() if name.endswith(".pyc")}
    assert flags == {struct.pack("<I", UNCHECKED_HASH)}
    assert not [name for name in names(lambda_package) if name.endswith(".py") or "__pycache__" in name]


def test_every_module_of_the_gateway_is_there(lambda_package: Path) -> None:
    modules = [path.relative_to(ROOT) for top in ("api", "core") for path in (ROOT / top).rglob("*.py")]
    assert {path.with_suffix(".pyc").as_posix() for path in modules} <= set(names(lambda_package))


def test_native_code_is_for_lambda(lambda_package: Path) -> None:
    native = [name for name in names(lambda_package) if name.endswith(".so")]
    assert native
    assert all(name.endswith(".cpython-312-x86_64-linux-gnu.so") for name in native)


def test_the_start_script_alone_may_be_executed(lambda_package: Path) -> None:
    with zipfile.ZipFile(lambda_package) as archive:
        executable = [entry.filename for entry in archive.infolist() if (entry.external_attr >> 16) & 0o111]
    assert executable == ["api/lambda_stream.sh"]


def test_every_module_of_the_gateway_finds_what_it_imports(lambda_folder: Path) -> None:
    command = [str(need(PYTHON)), "-c", IMPORT_ALL, str(lambda_folder)]
    done = subprocess.run(command, env={"CHATGPT_BASE_URL": "loopback://chatgpt"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def template_file(lambda_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of `osls package`, made without an account and without the network."""
    folder = tmp_path_factory.mktemp("osls")
    shutil.copy(ROOT / "serverless.yml", folder)
    (folder / "build").mkdir()
    shutil.copy(lambda_package, folder / "build")
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "SLS_TELEMETRY_DISABLED": "1"}
    command = [str(need(OSLS)), "package", "--stage", "prod", "--region", "eu-west-1"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / ".serverless" / "cloudformation-template-update-stack.json"


@pytest.fixture(scope="module")
def resources(template_file: Path) -> Json:
    found: Json = json.loads(template_file.read_text())["Resources"]
    return found


def properties(resources: Json, kind: str) -> list[Json]:
    return [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]


def test_the_template_is_sound(template_file: Path) -> None:
    """W3005 is a dependency that osls states though it is implied."""
    command = [str(need(CFN_LINT)), "-i", "W3005", "--regions", "eu-west-1", "--", str(template_file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_anybody_may_call_the_streaming_address(resources: Json) -> None:
    """Both permissions are needed since October 2025; with one of them every request is 403."""
    public = [each for each in properties(resources, "AWS::Lambda::Permission") if each["Principal"] == "*"]
    assert [(each["Action"], each.get("InvokedViaFunctionUrl")) for each in public] == [
        ("lambda:InvokeFunctionUrl", None),
        ("lambda:InvokeFunction", True),
    ]


def test_the_streaming_function_streams_at_both_ends(resources: Json) -> None:
    (url,) = properties(resources, "AWS::Lambda::Url")
    (stream,) = [each for each in properties(resources, "AWS::Lambda::Function") if "Layers" in each]
    variables = stream["Environment"]["Variables"]
    assert (url["InvokeMode"], variables["AWS_LWA_INVOKE_MODE"]) == ("RESPONSE_STREAM", "response_stream")
    assert variables["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/bootstrap"
    assert stream["Layers"] == ["arn:aws:lambda:eu-west-1:753240598075:layer:LambdaAdapterLayerX86:27"]


def test_both_functions_run_what_the_package_holds(resources: Json, lambda_package: Path) -> None:
    functions = properties(resources, "AWS::Lambda::Function")
    assert [each["Handler"] for each in functions] == ["api/lambda_handler.handler", "api/lambda_stream.sh"]
    assert {"api/lambda_handler.pyc", "api/lambda_stream.sh"} <= set(names(lambda_package))
    assert {(each["Runtime"], *each["Architectures"]) for each in functions} == {("python3.12", "x86_64")}


def test_costs_and_logs_are_bounded(resources: Json) -> None:
    functions = properties(resources, "AWS::Lambda::Function")
    assert [each["ReservedConcurrentExecutions"] for each in functions] == [10, 10]
    assert [each["Timeout"] for each in functions] == [29, 300]
    assert [each["RetentionInDays"] for each in properties(resources, "AWS::Logs::LogGroup")] == [14, 14]


def test_secrets_are_references(resources: Json) -> None:
    for function in properties(resources, "AWS::Lambda::Function"):
        variables = function["Environment"]["Variables"]
        for name in ("AUTH_TOKENS", "CHATGPT_ACCESS_TOKENS"):
            assert variables[name] == f"{{{{resolve:secretsmanager:isthmus/prod:SecretString:{name}}}}}"
