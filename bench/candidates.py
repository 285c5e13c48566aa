"""Who takes part: what each one's server is started with, and what it is called."""

import base64
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from bench.children import Running, free_port, module, running
from bench.passthrough import CLIENTS

KEY = "bench-key"
"""The gateways' key; nothing but this machine ever sees it."""

NGINX = """daemon off; worker_processes 1; pid {folder}/nginx-{port}.pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_max_body_size 64m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream vendor {{ server 127.0.0.1:{upstream_port}; keepalive 2048; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096; keepalive_requests 10000000;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location / {{ proxy_pass http://vendor; }}
  }}
}}
"""
"""nginx as a stream needs it: no buffering, connections to the upstream kept."""

LITELLM = """
model_list:
  - model_name: bench-model
    litellm_params: {{model: openai/bench-model, api_base: "http://127.0.0.1:{upstream_port}/v1", api_key: bench}}
litellm_settings: {{telemetry: false}}
general_settings: {{master_key: {key}}}
"""


class Peers(Struct, frozen=True):
    """Where the programs are that this project does not install by itself; `None` where they are not."""

    litellm: Path | None
    nginx: str | None


class Place(Struct, frozen=True):
    """Where a candidate is to listen, whom it calls, and a folder of its own for what it needs."""

    port: int
    upstream_port: int
    folder: Path
    peers: Peers

    @property
    def upstream(self) -> str:
        return f"http://127.0.0.1:{self.upstream_port}"


class Candidate(Struct, frozen=True):
    """A server to measure. `most_streams` is what it can be asked to hold open in a time that anyone would wait."""

    name: str
    title: str
    command: Callable[[Place], Sequence[str]]
    environment: Callable[[Place], Mapping[str, str]] = lambda _: {}
    most_streams: int | None = None
    absent: Callable[[Peers], str | None] = lambda _: None


def gateway_environment(place: Place) -> Mapping[str, str]:
    """Return settings under which the gateway takes the simulated vendors for four of the real ones.

    DeepSeek stands for those that have Chat Completions and no Responses.
    """
    claims = base64.urlsafe_b64encode(b'{"sub":"bench","exp":4102444800}').decode().rstrip("=")
    return {
        "AUTH_TOKENS": KEY,
        "CHATGPT_ACCESS_TOKENS": f"eyJhbGciOiJub25lIn0.{claims}.bench",
        "CHATGPT_BASE_URL": place.upstream,
        "OPENAI_API_KEY": "bench",
        "OPENAI_BASE_URL": f"{place.upstream}/v1",
        "ANTHROPIC_API_KEY": "bench",
        "ANTHROPIC_BASE_URL": place.upstream,
        "DEEPSEEK_API_KEY": "bench",
        "DEEPSEEK_BASE_URL": f"{place.upstream}/v1",
        "LOG_LEVEL": "warning",
    }


def nginx_command(place: Place) -> Sequence[str]:
    file = place.folder / f"nginx-{place.port}.conf"
    file.write_text(NGINX.format(folder=place.folder, port=place.port, upstream_port=place.upstream_port))
    return [str(place.peers.nginx), "-p", str(place.folder), "-c", str(file)]


def litellm_command(place: Place) -> Sequence[str]:
    file = place.folder / f"litellm-{place.port}.yaml"
    file.write_text(LITELLM.format(upstream_port=place.upstream_port, key=KEY))
    options = ("--host", "127.0.0.1", "--port", str(place.port), "--num_workers", "1")
    return [str(place.peers.litellm), "--config", str(file), *options]


def litellm_environment(place: Place) -> Mapping[str, str]:
    """Return settings under which it asks nobody but the simulated vendors, and writes no log line for each request."""
    return {
        "OPENAI_API_BASE": place.upstream,
        "OPENAI_API_KEY": "bench",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }


def passthrough(name: str, title: str, client: str) -> Candidate:
    def command(place: Place) -> Sequence[str]:
        return module("bench.passthrough", "--client", client, "--port", place.port, "--upstream", place.upstream)

    return Candidate(name, title, command)


CANDIDATES: Mapping[str, Candidate] = {
    each.name: each
    for each in (
        Candidate(
            "relay",
            "raw TCP relay",
            lambda place: module("bench.relay", "--port", place.port, "--upstream", place.upstream_port),
        ),
        Candidate(
            "nginx",
            "nginx",
            nginx_command,
            absent=lambda peers: (
                None if peers.nginx else "nginx is not installed (apt install nginx-light, or its like)"
            ),
        ),
        passthrough("bare", "bare Starlette + httpx", "stock"),
        Candidate(
            "isthmus", "Isthmus", lambda place: module("api", "--port", place.port), environment=gateway_environment
        ),
        Candidate(
            "litellm",
            "LiteLLM proxy",
            litellm_command,
            environment=litellm_environment,
            most_streams=100,
            absent=lambda peers: None if peers.litellm else "LiteLLM is not installed (make bench-peers)",
        ),
        *(passthrough(f"bare-{client}", f"Starlette + {client}", client) for client in CLIENTS if client != "stock"),
    )
}


def find_peers(litellm: Path | None) -> Peers:
    return Peers(litellm if litellm and litellm.exists() else None, shutil.which("nginx"))


@contextmanager
def serving(candidate: Candidate, upstream_port: int, folder: Path, peers: Peers) -> Iterator[Running]:
    """Run a candidate on a port of its own. Raises `NotServing`."""
    place = Place(free_port(), upstream_port, folder, peers)
    log = folder / f"{candidate.name}-{place.port}.log"
    with running(candidate.command(place), place.port, candidate.environment(place), log) as child:
        yield child
