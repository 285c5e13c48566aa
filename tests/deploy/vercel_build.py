"""What `vercel build` and `vercel deploy` make of the project, by Vercel's own command-line tool, with no account."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.deploy.vercel_function import ROOT, TOOLS

VERCEL = ROOT / "tests" / "deploy" / "node_modules" / ".bin" / "vercel"
PROJECT = {"projectId": "prj_test", "orgId": "team_test", "settings": {}}
BUILD_S = 180
BUILD_ENVIRON = {"VERCEL_PYTHON_COMPILEALL": "1"}
"""What `make deploy-vercel` gives the build: byte code goes into the function (vercel/vercel#16899)."""

PLANTED = {
    "public/robots.txt": "User-agent: *\n",
    ".env": "AUTH_TOKENS=sk-of-a-developer\n",
    ".env.production": "AUTH_TOKENS=sk-of-a-developer\n",
    ".venv-clients/lib/package.py": "a = 1\n",
    "build/lambda.zip": "what another target made\n",
    "tests/deploy/node_modules/package/index.js": "0\n",
}
"""What may lie in the folder that somebody deploys from."""

Json = dict[str, Any]


def copy_project(folder: Path) -> None:
    """Copy what git knows or would take, and plant what may lie around; link it to a project that nobody has."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            write(folder / name, (ROOT / name).read_bytes())
    for name, text in PLANTED.items():
        write(folder / name, text.encode())
    write(folder / ".vercel" / "project.json", json.dumps(PROJECT).encode())


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def run_vercel(folder: Path, *arguments: str) -> str:
    """Run the tool in a folder, to its end; return what it printed. It reaches packages as this machine does."""
    assert VERCEL.exists(), "tests/deploy/node_modules is missing: `make test-deploy` makes it"
    assert shutil.which("node"), "node was not found"
    variables = {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", "VERCEL_TELEMETRY_DISABLED": "1", **BUILD_ENVIRON}
    ended = subprocess.run(
        [str(VERCEL), *arguments],
        cwd=folder,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def build(folder: Path) -> Path:
    """Build the copy; return the output. `--standalone` puts the packages into the function."""
    run_vercel(folder, "build", "--yes", "--standalone")
    return folder / ".vercel" / "output"


def uploaded(folder: Path) -> set[str]:
    """Return the paths that `vercel deploy` would send from the copy."""
    with vendor() as url:
        printed = run_vercel(folder, "deploy", "--dry", "--json", "--token", "token", "--api", url)
    return {file["path"] for file in json.loads(printed)["files"]}


class VendorHandler(BaseHTTPRequestHandler):
    """The three answers that the tool needs before it lists the files of a deployment."""

    ANSWERS: dict[str, Json] = {
        "/v2/user": {"user": {"id": "user_test", "username": "somebody", "defaultTeamId": PROJECT["orgId"]}},
        f"/teams/{PROJECT['orgId']}": {"id": PROJECT["orgId"], "slug": "a-team", "name": "A team"},
        f"/v9/projects/{PROJECT['projectId']}": {"id": PROJECT["projectId"], "name": "isthmus", "framework": "python"},
    }

    def do_GET(self) -> None:
        body = self.ANSWERS.get(self.path.partition("?")[0])
        content = json.dumps(body or {"error": {"code": "not_found", "message": self.path}}).encode()
        self.send_response(200 if body else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: the tool's own output tells what went wrong."""


@contextmanager
def vendor() -> Iterator[str]:
    """Serve enough of Vercel's API on this machine; give its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), VendorHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
