"""Logging: the level of our own loggers. Handlers belong to whoever runs the app (uvicorn, Vercel, Lambda)."""

import logging


def configure_logging(level: str) -> None:
    logging.getLogger("isthmus").setLevel(level.upper())
    # It warns of each bad byte of a form, which the client is told anyway: a log has one line for each request.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
