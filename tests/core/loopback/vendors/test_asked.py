"""What the simulated vendors read in a conversation: the last question, or the last results with their pictures."""

import pytest
from msgspec import Struct

from core.loopback.prompts import Result
from core.loopback.vendors.asked import Asked, Said, prompt_of

QUESTION = Said("user", "How is it?", files=("map",))
CALLED = Said("assistant", "")
SUNNY, SNOWY = Said("result", "sunny", "weather"), Said("result", "snow", "weather", ("photo",))
PICTURE = Said("user", "", files=("photo",))


class Case(Struct, frozen=True):
    id: str
    said: tuple[Said, ...]
    results: tuple[Result, ...] = ()
    files: tuple[str, ...] = ()


CASES = [
    Case("nothing was said", ()),
    Case("a question, and what came with it", (QUESTION,), files=("map",)),
    Case("the last of several messages", (QUESTION, Said("user", "Well?"))),
    Case("a picture alone is a question", (PICTURE,), files=("photo",)),
    Case("results, without the question's files", (QUESTION, CALLED, SUNNY), (Result("weather", "sunny"),)),
    Case("a result with a picture of its own", (CALLED, SNOWY), (Result("weather", "snow"),), ("photo",)),
    Case(
        "a picture behind the results belongs to them",
        (QUESTION, CALLED, SUNNY, SNOWY, PICTURE),
        (Result("weather", "sunny"), Result("weather", "snow")),
        ("photo", "photo"),
    ),
    Case("a question behind the results", (CALLED, SUNNY, QUESTION), files=("map",)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_last_words_count(case: Case) -> None:
    prompt = prompt_of(Asked("m", case.said))
    assert (prompt.results, prompt.files) == (case.results, case.files)
