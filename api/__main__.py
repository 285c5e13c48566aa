"""The local server: `python -m api [--host HOST] [--port PORT]`.

Without an account it serves the simulated upstream, and says so; without a gateway key it makes one and prints it.
"""

import argparse
import logging
import secrets
import sys
from contextlib import suppress
from socket import socket

import uvicorn
from msgspec import structs

from api.app import create_app
from core.accounts import Account, Secret
from core.settings import Settings, SettingsError, port_number

LOOPBACK_URL = "loopback://chatgpt"
LOOPBACK_KEY = "sk-loopback"
"""The key of a gateway that guards nothing: with the simulated upstream, examples can be copied as they stand."""


def main() -> None:
    try:
        settings = Settings.from_env()
        arguments = parse_arguments(settings)
        settings = complete(settings)
        app = create_app(settings)
    except SettingsError as error:
        sys.exit(str(error))
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    config = uvicorn.Config(
        app,
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    with suppress(KeyboardInterrupt):
        Server(config, settings).run()


class Server(uvicorn.Server):
    """Says where it listens as soon as it does: before, the port may be taken, or not be chosen yet."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        announce(self._settings, self.config.host, self.servers[0].sockets[0].getsockname()[1])


def parse_arguments(settings: Settings) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api", description="Serve Isthmus on this machine.")
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=_port, default=settings.port)
    return parser.parse_args()


def _port(text: str) -> int:
    try:
        return port_number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def complete(settings: Settings) -> Settings:
    """Add what a developer's machine may do without: an account (the simulated one) and a gateway key."""
    has_upstream = bool(settings.access_token_prefixes or settings.enable_external_token or settings.vendors)
    if not settings.accounts and (settings.loopback or not has_upstream):
        simulated = (Account(Secret("loopback")),)
        settings = structs.replace(settings, access_accounts=simulated, chatgpt_base_url=LOOPBACK_URL)
    if not settings.auth_tokens:
        key = LOOPBACK_KEY if settings.loopback else f"sk-{secrets.token_urlsafe(32)}"
        settings = structs.replace(settings, auth_tokens=(Secret(key),))
        print(f"AUTH_TOKENS is not set: the gateway key of this run is {key}", file=sys.stderr)
    return settings


def announce(settings: Settings, host: str, port: int) -> None:
    where = "the built-in simulation (loopback)" if settings.loopback else settings.chatgpt_base_url
    where = ", ".join([where, *(vendor.name for vendor in settings.vendors)])
    print(f"Isthmus listens on http://{host}:{port}/v1 - upstream: {where}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
