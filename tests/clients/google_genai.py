"""Google's SDK for Python against the gateway: whole and streamed answers, a loop of functions, a schema, failures.

Usage: python google_genai.py BASE_URL KEY PROMPT, with the packages of requirements-clients.lock; prints JSON.
"""

import json
import sys
from typing import Any, Literal

from google import genai  # type: ignore[import-not-found,unused-ignore]
from google.genai import errors, types  # type: ignore[import-not-found,unused-ignore]
from pydantic import BaseModel

BASE_URL, KEY, PROMPT = sys.argv[1:]
LATE = 'loopback: {"text": "Words that will not all arrive", "delay_ms": 20, "error_after_chars": 8}'
MODEL = "auto"


class Forecast(BaseModel):
    name: str
    sky: Literal["clear", "grey"]
    degrees: list[float]


def client(key: str = KEY) -> Any:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=BASE_URL.removesuffix("/v1")))


def loop(sdk: Any, *, stream: bool) -> dict[str, Any]:
    """Talk until no function is called any more, as the SDK's own chat keeps the history."""
    calls: list[tuple[str, str]] = []

    def get_weather(city: str) -> str:
        """Tell the weather of a city."""
        calls.append(("get_weather", city))
        return f"Sunny in {city}"

    def get_time(city: str) -> str:
        """Tell the time of a city."""
        calls.append(("get_time", city))
        return f"Noon in {city}"

    chat = sdk.chats.create(model=MODEL, config=types.GenerateContentConfig(tools=[get_weather, get_time]))
    if stream:
        # Each round is an answer of its own; the last one has no call before it.
        chunks = list(chat.send_message_stream(PROMPT))
        final = "".join(chunk.text or "" for chunk in chunks if not chunk.function_calls)
        return {"calls": calls, "final": final.rpartition("Let me look.")[2]}
    return {"calls": calls, "final": chat.send_message(PROMPT).text}


def failure(call: Any) -> dict[str, Any] | None:
    try:
        call()
    except errors.APIError as error:
        return {"name": type(error).__name__, "code": error.code, "status": error.status}
    return None


def main() -> None:
    sdk = client()
    stranger, said = client("wrong"), "Say this is a test!"
    whole = sdk.models.generate_content(model=MODEL, contents=said)
    form = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Forecast)
    heard = {
        "whole": whole.text,
        "tokens": whole.usage_metadata.total_token_count,
        "streamed": "".join(chunk.text for chunk in sdk.models.generate_content_stream(model=MODEL, contents=said)),
        "loops": [loop(sdk, stream=False), loop(sdk, stream=True)],
        "structured": sdk.models.generate_content(model=MODEL, contents="Say yes", config=form).parsed.model_dump(),
        "count": sdk.models.count_tokens(model=MODEL, contents=said).total_tokens,
        "models": [model.name for model in sdk.models.list()],
        "key": failure(lambda: stranger.models.generate_content(model=MODEL, contents=said)),
        "late": failure(lambda: list(sdk.models.generate_content_stream(model=MODEL, contents=LATE))),
    }
    print(json.dumps(heard))


if __name__ == "__main__":
    main()
