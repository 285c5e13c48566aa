"""Logging: the level of our own loggers. Handlers belong to whoever runs the app (uvicorn, Vercel, Lambda)."""

import logging


def configure_logging(level: str) -> None:
    logging.getLogger("isthmus").setLevel(level.upper())
