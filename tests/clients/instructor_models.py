"""instructor in each of its modes against the gateway; prints what it extracted as one JSON object.

Usage: python instructor_models.py BASE_URL KEY, with the packages of requirements-clients.lock.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any, Literal

import instructor  # type: ignore[import-not-found,unused-ignore]
from openai import OpenAI
from pydantic import BaseModel, field_validator

BASE_URL, KEY = sys.argv[1:3]
MODES = ("TOOLS", "TOOLS_STRICT", "JSON_SCHEMA")
SCRIPTED_MODES = ("JSON", "MD_JSON")
"""Modes that put the schema into a prompt of instructor's own: the simulated model must be told what to say."""

FORECAST = {"name": "Oslo", "sky": "grey", "degrees": [1.5]}


class Forecast(BaseModel):
    name: str
    sky: Literal["clear", "grey"]
    degrees: list[float]


def client(mode: str) -> Any:
    return instructor.from_openai(OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0), mode=instructor.Mode[mode])


def extract(mode: str, prompt: str) -> Any:
    messages = [{"role": "user", "content": prompt}]
    request: dict[str, Any] = {"model": "auto", "messages": messages, "response_model": Forecast, "max_retries": 0}
    return client(mode).chat.completions.create(**request).model_dump()


def partial() -> Any:
    messages = [{"role": "user", "content": "What is the forecast?"}]
    *_, last = client("TOOLS").chat.completions.create_partial(model="auto", messages=messages, response_model=Forecast)
    return last.model_dump()


def several() -> Any:
    script = {"calls": [{"name": "Forecast", "arguments": FORECAST}] * 2}
    messages = [{"role": "user", "content": f"loopback: {json.dumps(script)}"}]
    parallel = client("PARALLEL_TOOLS").chat.completions
    found = parallel.create(model="auto", messages=messages, response_model=Iterable[Forecast])
    return [one.model_dump() for one in found]


class Checked(Forecast):
    """Demands more than its schema tells, so that the first answer is sent back with the reason."""

    @field_validator("name")
    @classmethod
    def is_a_capital(cls, name: str) -> str:
        if name != "Oslo":
            raise ValueError("Oslo is meant")
        return name


def asked_again() -> Any:
    names = ("Bergen", "Oslo")
    script = {"rounds": [{"calls": [{"name": "Checked", "arguments": {**FORECAST, "name": name}}]} for name in names]}
    messages = [{"role": "user", "content": f"loopback: {json.dumps(script)}"}]
    request: dict[str, Any] = {"model": "auto", "messages": messages, "response_model": Checked, "max_retries": 1}
    return client("TOOLS").chat.completions.create(**request).model_dump()


def main() -> None:
    script = f"loopback: {json.dumps({'text': json.dumps(FORECAST)})}"
    heard = {
        "made": {mode: extract(mode, "What is the forecast?") for mode in MODES},
        "scripted": {mode: extract(mode, script) for mode in SCRIPTED_MODES},
        "partial": partial(),
        "parallel": several(),
        "asked_again": asked_again(),
    }
    print(json.dumps(heard))


if __name__ == "__main__":
    main()
