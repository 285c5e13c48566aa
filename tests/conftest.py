"""What every test runs under: one event loop library, patient properties, no network beyond this machine."""

import hypothesis
import pytest

hypothesis.settings.register_profile("isthmus", deadline=None, print_blob=True)
hypothesis.settings.load_profile("isthmus")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
