"""Who may import whom: the import rules of the architecture as a table, checked over the syntax tree.

An import counts wherever it stands: at the top, inside a function, or for type checking only. The standard
library is free to all, except the few modules that reach the environment or import by name.
"""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pytest
from msgspec import Struct

ROOT = Path(__file__).parents[1]
RESTRICTED = ("os", "posix", "importlib", "starlette.config")


class Row(Struct, frozen=True):
    """Which modules the `files` may import. `{own}` stands for the file's own top module or package, as in
    core.wire.openai_chat. The first row whose pattern fits a file governs it.
    """

    id: str
    files: tuple[str, ...]
    may: tuple[str, ...]


EDGE = ("api", "core", "starlette", "anyio", "msgspec")
WAIST = ("core.request", "core.events", "core.errors", "msgspec")

ROWS = [
    Row("the Lambda entry alone knows Mangum", ("api/lambda_handler.py",), (*EDGE, "mangum")),
    Row("the local server alone knows uvicorn", ("api/__main__.py",), (*EDGE, "uvicorn")),
    Row("the deadline alone asks Vercel's runtime", ("api/deadline.py",), (*EDGE, "vercel_runtime")),
    Row("what is loaded later is loaded by name", ("api/later.py",), (*EDGE, "importlib")),
    Row("the edge knows the core and starlette", ("api/*",), EDGE),
    Row("the waist knows only itself", ("core/request.py", "core/events.py", "core/errors.py"), WAIST),
    Row("the laws of the waist know only the waist", ("core/grammar.py",), WAIST),
    Row("the fold knows the waist and its grammar", ("core/fold.py",), (*WAIST, "core.grammar")),
    Row(
        "the contracts name the types of the extension points and nothing foreign",
        ("core/contracts.py",),
        (*WAIST, "core.accounts", "core.fold", "core.services", "core.signing", "core.transport"),
    ),
    Row(
        "settings alone read the environment", ("core/settings.py",), ("os", "core.accounts", "core.vendors", "msgspec")
    ),
    Row(
        "the transport alone knows httpx, and of the core only errors",
        ("core/transport.py", "core/transport/*"),
        ("core.transport", "core.errors", "httpx", "msgspec"),
    ),
    Row("the list of upstreams may name them all", ("core/upstreams/__init__.py",), ("core", "msgspec")),
    Row(
        "an upstream knows wires and the transport but no other upstream",
        ("core/upstreams/*",),
        (
            "{own}",
            "core.wire",
            "core.transport",
            *WAIST,
            "core.contracts",
            "core.fold",
            "core.accounts",
            "core.affinity",
            "core.chatgpt",
            "core.file_form",
            "core.media",
            "core.model_list",
            "core.multipart",
            "core.parallel",
            "core.passing",
            "core.vendor_errors",
            "core.vendor_http",
            "core.cleanup",
            "core.continuing",
            "core.vendors",
            "core.retry_after",
            "core.services",
            "core.settings",
            "core.signing",
            "core.sse",
        ),
    ),
    Row(
        "a wire format knows the waist but no other wire format",
        ("core/wire/*",),
        (
            "{own}",
            *WAIST,
            "core.continuing",
            "core.contracts",
            "core.fold",
            "core.free_text",
            "core.json_body",
            "core.passing",
            "core.media",
            "core.multipart",
            "core.openai_words",
            "core.stream_decoder",
            "core.services",
            "core.sse",
            "core.text",
            "core.text_runs",
            "core.tool_names",
            "core.vectors",
            "core.vendor_errors",
        ),
    ),
    Row(
        "schemas are judged by their library",
        ("core/tools/schema.py",),
        ("core.tools", *WAIST, "jsonschema", "referencing"),
    ),
    Row("the tool protocol knows the waist", ("core/tools/*",), ("core.tools", "core.text", *WAIST)),
    Row(
        "the loopback's transport knows httpx",
        ("core/loopback/transport.py",),
        ("core", "httpx", "starlette", "anyio", "msgspec"),
    ),
    Row(
        "the loopback's own server knows uvicorn",
        ("core/loopback/__main__.py",),
        ("core", "starlette", "msgspec", "uvicorn"),
    ),
    Row("the loopback is a starlette app", ("core/loopback/*",), ("core", "starlette", "anyio", "msgspec")),
    Row("multipart forms are read by their library", ("core/multipart.py",), (*WAIST, "python_multipart")),
    Row("the rest of the core needs no other library", ("core/*",), ("core", "msgspec")),
]


class Case(Struct, frozen=True):
    id: str
    path: str
    source: str
    refused: tuple[str, ...]


CASES = [
    Case("a wire format may not import httpx", "core/wire/new/stream.py", "import httpx", ("httpx",)),
    Case(
        "a wire format may not import its neighbour",
        "core/wire/new/stream.py",
        "from core.wire.openai_chat.types import Chunk",
        ("core.wire.openai_chat.types.Chunk",),
    ),
    Case(
        "a neighbour is seen through its package too",
        "core/wire/new/stream.py",
        "from core.wire import openai_chat",
        ("core.wire.openai_chat",),
    ),
    Case(
        "a neighbour is seen through dots too",
        "core/wire/new/stream.py",
        "from ..openai_chat import types",
        ("core.wire.openai_chat.types",),
    ),
    Case(
        "a neighbour whose name only begins alike is a neighbour",
        "core/wire/openai/stream.py",
        "import core.wire.openai_chat",
        ("core.wire.openai_chat",),
    ),
    Case("a wire format may import itself", "core/wire/new/stream.py", "from core.wire.new import types", ()),
    Case("dots may lead to oneself", "core/wire/new/__init__.py", "from .types import Chunk", ()),
    Case(
        "an upstream may not import another",
        "core/upstreams/new.py",
        "from core.upstreams.codex import Codex",
        ("core.upstreams.codex.Codex",),
    ),
    Case("the core may not import the edge", "core/routing.py", "from api import app", ("api.app",)),
    Case(
        "an import inside a function counts",
        "core/routing.py",
        "def resolve():\n    import httpx",
        ("httpx",),
    ),
    Case(
        "an import for type checking counts",
        "core/request.py",
        "if TYPE_CHECKING:\n    from core.fold import Response",
        ("core.fold.Response",),
    ),
    Case("nobody else reads the environment", "api/index.py", "from os import environ", ("os.environ",)),
    Case("paths are no excuse for os", "core/routing.py", "import os.path", ("os.path",)),
    Case("importing by name is refused", "core/routing.py", "import importlib", ("importlib",)),
    Case("settings read the environment", "core/settings.py", "import os", ()),
    Case("uvicorn stays out of the app", "api/app.py", "import uvicorn", ("uvicorn",)),
    Case("Vercel's runtime stays out of the app", "api/app.py", "import vercel_runtime", ("vercel_runtime",)),
    Case("Mangum stays out of the local server", "api/__main__.py", "import mangum", ("mangum",)),
    Case("the standard library is free", "core/request.py", "import json, collections.abc", ()),
    Case("one bad name among good ones is found", "core/tools/lifter.py", "import re, httpx", ("httpx",)),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_file_imports_only_what_its_row_allows(row: Row) -> None:
    violations = [
        f"{path} imports {name}, but {row.id}"
        for path in project_files()
        if governing(path) is row
        for name in refused_imports(path, (ROOT / path).read_text())
    ]
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_rule_itself_can_fail(case: Case) -> None:
    assert refused_imports(PurePosixPath(case.path), case.source) == list(case.refused)


def test_the_project_files_are_found() -> None:
    assert {PurePosixPath("core/events.py"), PurePosixPath("core/wire/__init__.py")} <= set(project_files())


def project_files() -> list[PurePosixPath]:
    """Return every module of `api` and `core`, by its path from the root."""
    files = [path for folder in ("api", "core") for path in (ROOT / folder).rglob("*.py")]
    return sorted(PurePosixPath(path.relative_to(ROOT).as_posix()) for path in files)


def refused_imports(path: PurePosixPath, source: str) -> list[str]:
    """Return the dotted names that `source`, standing at `path`, imports against its row."""
    own = ".".join(path.with_suffix("").parts[:3])
    may = tuple(own if name == "{own}" else name for name in governing(path).may)
    return [name for name in imported_names(path, source) if not is_allowed(name, may)]


def governing(path: PurePosixPath) -> Row:
    return next(row for row in ROWS if any(fnmatchcase(str(path), pattern) for pattern in row.files))


def imported_names(path: PurePosixPath, source: str) -> Iterator[str]:
    """Yield the full dotted name of each import: `from a.b import c` is `a.b.c`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = imported_package(path, node)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imported_package(path: PurePosixPath, node: ast.ImportFrom) -> str:
    """Return the absolute name of what stands between `from` and `import`."""
    steps = path.parts[: len(path.parts) - node.level] if node.level else ()
    return ".".join((*steps, *([node.module] if node.module else [])))


def is_allowed(name: str, may: tuple[str, ...]) -> bool:
    if any(is_within(name, module) for module in RESTRICTED):
        return any(is_within(name, module) for module in may if module in RESTRICTED)
    return name.partition(".")[0] in sys.stdlib_module_names or any(is_within(name, each) for each in may)


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")
