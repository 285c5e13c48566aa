"""A list of models: asked for now and then, and whatever goes wrong leaves the last one that was known."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec import Struct

from core import model_list
from core.errors import ProtocolViolation, UpstreamDenied, UpstreamUnavailable
from core.model_list import FRESH_S, RETRY_S, ModelList

pytestmark = pytest.mark.anyio

Answer = Sequence[str] | None | Exception


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Asked:
    """Gives one answer after the other, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.count = 0
        self._answers = list(answers)

    async def __call__(self) -> Sequence[str] | None:
        self.count += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_list_is_asked_for_again_when_it_is_no_longer_fresh() -> None:
    clock, asked = Clock(), Asked(["a", "b", "a"])
    models = ModelList((), clock)
    for later_s, calls in ((0.0, 1), (FRESH_S - 1, 1), (2.0, 2)):
        clock.now += later_s
        assert await models.names(asked) == ("a", "b")
        assert asked.count == calls


class Case(Struct, frozen=True):
    id: str
    failure: Answer


FAILURES = [
    Case("it cannot be reached", UpstreamUnavailable("down")),
    Case("it refuses the key", UpstreamDenied("no")),
    Case("it answers something else", ProtocolViolation("what?")),
    Case("there is no way to ask", None),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
async def test_a_failure_leaves_what_was_known_and_is_remembered_for_a_while(case: Case) -> None:
    clock, asked = Clock(), Asked(case.failure, ["a"], case.failure)
    models = ModelList(("known",), clock)
    assert await models.names(asked) == ("known",)
    assert await models.names(asked) == ("known",)
    assert asked.count == 1
    clock.now += RETRY_S
    assert await models.names(asked) == ("a",)
    clock.now += FRESH_S
    assert await models.names(asked) == ("a",)
    assert asked.count == 3


async def test_an_upstream_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_list, "PATIENCE_S", 0.0)

    async def silent() -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    assert await ModelList(("known",), Clock()).names(silent) == ("known",)
