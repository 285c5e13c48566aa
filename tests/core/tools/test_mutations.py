"""The table must notice faults: copies of the modules with one fault each, of which every one must fail a row.

The copies live under names of their own, so the real modules stay as they are.
"""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from msgspec import Struct

from tests.core.tools.lifting import Case, Kit, chunkings, run
from tests.core.tools.table import TABLE

SOURCE = Path(__file__).parents[3] / "core" / "tools"
PACKAGE = "tools_with_a_fault"


class Fault(Struct, frozen=True):
    """One change to one module: `sound` stands in it exactly once."""

    id: str
    module: str
    sound: str
    faulty: str


FAULTS = [
    Fault("the beginning of our tag is not held back", "scanner", "own.may_become(text) or ", ""),
    Fault(
        "the beginning of a foreign tag is not held back",
        "foreign",
        "form.whole.match(text) or form.may_become(text)",
        "form.whole.match(text)",
    ),
    Fault("any hash will do", "scanner", '*spelled(f"<{tag}")', '*spelled("<call_"), *["[0-9a-f]"] * 6'),
    Fault("no hash at all will do", "scanner", '*spelled(f"<{tag}")', '*spelled("<call"), r"\\w{0,7}"'),
    Fault("a fence hides nothing", "scanner", "not self._fence and ", ""),
    Fault("any fence closes a fence", "scanner", "fence[1].startswith(self._fence)", "True"),
    Fault("a fence closes with words behind it", "scanner", " and not line[fence.end() :].strip()", ""),
    Fault("a fence's own line hides nothing", "scanner", " and not _FENCE.match(self._line)", ""),
    Fault("code within a line opens a fence", "scanner", r"(?=[^`]*\Z)", ""),
    Fault("a backtick hides nothing", "scanner", """self._previous != "`" and """, ""),
    Fault("a line is forgotten at every chunk", "scanner", "self._line = (self._line + last)", "self._line = (last)"),
    Fault(
        "a fence outlives its text",
        "scanner",
        "self._reset()\n        if form",
        'self._held, self._block, self._pieces = "", None, []\n        if form',
    ),
    Fault(
        "a closing tag is sought in the newest chunk only",
        "scanner",
        "self._overlap = searched[-foreign.MAX_CLOSING_CHARS :]",
        'self._overlap = ""',
    ),
    Fault("a quoted closing tag ends a foreign block", "scanner", "MAX_ATTEMPTS = 8", "MAX_ATTEMPTS = 1"),
    Fault(
        "what stands behind arguments is not held back",
        "calls",
        "            self._held = text\n            return None",
        "            return 0",
    ),
    Fault("the end of a free text is not held back", "calls", "len(buffer) - self._held_chars(buffer)", "len(buffer)"),
    Fault("a bare tag ends a free text", "calls", "buffer.find(self._closing)", "buffer.find(BARE_CLOSING)"),
    Fault("a lone bracket is sent", "jsontext", "_CERTAIN.match(lead) is not None", "bool(lead)"),
    Fault("a comma before a bracket is sent", "jsonscan", "out += self._comma[1:]", "out += self._comma"),
    Fault("a lone backslash is sent as it is", "jsonscan", 'out.append("\\\\\\\\")', 'out.append("\\\\")'),
    Fault(
        "a number is judged at every chunk",
        "jsonscan",
        "if end < len(text) or len(self._scalar)",
        "if True or len(self._scalar)",
    ),
    Fault(
        "brackets are never missing",
        "jsonscan",
        "out += [_CLOSING[opening] for opening in reversed(self._stack)]",
        "pass",
    ),
    Fault("a quotation is a call", "lifter", "any(raw in text for text in self._plan.quoted)", "False"),
    Fault("white space is lost", "lifter", "self._space.append(text)", "pass"),
    Fault("every call has the same id", "blocks", "{self._exchange_id}/{self.index}", "{self._exchange_id}"),
    Fault("the schema is not looked at", "toolbox", "return violation(tool.parameters, value)", 'return ""'),
    Fault("one call is never enough", "lifter", "self.enough = not self._plan.parallel", "pass"),
    Fault("a cut call is a broken one", "lifter", "reason in CUT_SHORT and reader.failure", "False and reader.failure"),
    Fault(
        "a call is not given back as text",
        "lifter",
        "self._blocks.notes = (FAILED,)\n        self._plain(raw, out)",
        "self._blocks.notes = (FAILED,)",
    ),
    Fault(
        "a denial is judged on whatever has come",
        "lifter",
        'refusals.first_sentences("".join(self._gated))',
        '"".join(self._gated)',
    ),
    Fault("a denial is judged on its first sentence only", "refusals", "FIRST_SENTENCES = 2", "FIRST_SENTENCES = 1"),
]


@pytest.fixture
def copies() -> Iterator[None]:
    """Leave no copy behind."""
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.mark.usefixtures("copies")
def test_sound_copies_pass_the_table() -> None:
    assert first_failing(kit_with(None)) is None


@pytest.mark.usefixtures("copies")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_the_table_notices(fault: Fault) -> None:
    assert first_failing(kit_with(fault)) is not None, "no row fails"


def first_failing(kit: Kit) -> str | None:
    """Return the id of the first row that does not come out as it should, None when all do."""
    return next((case.id for case in TABLE if not all(holds(case, streamed, kit) for streamed in (True, False))), None)


def holds(case: Case, streamed: bool, kit: Kit) -> bool:
    try:
        return all(run(case, blocks, streamed, kit) == case.outcome(streamed) for blocks in chunkings(case, most=40))
    except (AssertionError, ValueError, RecursionError):
        return False


def kit_with(fault: Fault | None) -> Kit:
    """Load copies of all modules of the tool protocol, one of them with the fault."""
    package = ModuleType(PACKAGE)
    package.__path__ = []
    sys.modules[PACKAGE] = package
    modules = {name: load(name, fault) for name in in_order()}
    return Kit(modules["lifter"], modules["protocol"])


def load(name: str, fault: Fault | None) -> ModuleType:
    source = (SOURCE / f"{name}.py").read_text()
    if fault is not None and fault.module == name:
        assert source.count(fault.sound) == 1, f"{fault.sound!r} stands {source.count(fault.sound)} times in {name}"
        source = source.replace(fault.sound, fault.faulty)
    full_name = f"{PACKAGE}.{name}"
    spec = importlib.util.spec_from_loader(full_name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module
    setattr(sys.modules[PACKAGE], name, module)
    exec(compile(source.replace("core.tools", PACKAGE), full_name, "exec"), module.__dict__)
    return module


def in_order() -> list[str]:
    """Return the names of the modules, each behind those that it imports."""
    sources = {path.stem: path.read_text() for path in SOURCE.glob("*.py") if path.stem != "__init__"}
    names: list[str] = []
    while sources:
        ready = [name for name, text in sources.items() if not any(imports(text, other) for other in sources)]
        assert ready, "the modules import each other in a circle"
        names += ready
        for name in ready:
            del sources[name]
    return names


def imports(source: str, name: str) -> bool:
    return f"from core.tools.{name} import" in source or any(
        line.startswith("from core.tools import") and name in line for line in source.splitlines()
    )
