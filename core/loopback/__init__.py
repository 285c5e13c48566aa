"""The loopback: a simulated vendor world, so that Isthmus runs and is tested without any account.

`create_loopback()` returns an ASGI app that speaks ChatGPT Web's wire format as reference chatgpt-web,
section 11, and the captures describe it. It is reached in process (`core.loopback.transport`, host `chatgpt`)
or over a real port (`python -m core.loopback --port N`).

A user message `loopback: {...}` scripts the answer (directives.py); docs/loopback.md is the page for users. Control
endpoints for tests:

    GET  /loopback/log      calls in order; `?disconnects=N&within_s=S` waits until N clients have hung up
    POST /loopback/reset    forget everything
    POST /loopback/script   a rule for calls to come: fail, stall or cut them, switch the sentinel

How the sentinel is scripted, although its calls come before the one with the directive, is told in
sentinel.py. An access token is whatever looks like a JWT (its `exp` counts, and a claim `loopback_sentinel`)
or begins with `loopback`. A refused call says why in the header `x-loopback-reason`.
"""

from core.loopback.app import create_loopback

__all__ = ["create_loopback"]
