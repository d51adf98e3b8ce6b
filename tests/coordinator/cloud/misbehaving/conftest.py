"""An upstream may hang, lie, break or refuse: it costs its own attempt, in bounded time and money.

No word of it, of the prompt or of the key gets into an error or the log.
"""

from collections.abc import AsyncIterator

import pytest

from mesh.core import events
from mesh.settings import CloudSettings
from tests.coordinator.cloud.asking import PROMPT, Fleet, adapter
from tests.coordinator.cloud.conftest import IMPATIENT, KEY

SECRET = "Words of the upstream"  # what a refusal's body says, with whatever it was sent
ECHO = f"{SECRET}: {PROMPT} {KEY}"


@pytest.fixture(autouse=True)
async def nothing_leaks(caplog: pytest.LogCaptureFixture, fleet: Fleet) -> AsyncIterator[None]:
    """Whatever the test does: no secret in what is logged, nor in what the client is told."""
    caplog.set_level("DEBUG")
    yield
    told = " ".join(
        f"{event.failure.message} {event.failure.hint}"
        for event in fleet.heard
        if isinstance(event, events.AttemptFailed)
    )
    ours = "\n".join(each.getMessage() for each in caplog.records if each.name != "asyncio")
    for words in (told, ours):
        assert KEY not in words
        assert PROMPT not in words
        assert SECRET not in words
        assert words.replace("\n", " ").isprintable()


@pytest.fixture
async def fleet(cloud_settings: CloudSettings) -> AsyncIterator[Fleet]:
    async with adapter(cloud_settings) as running:
        yield running


@pytest.fixture
def impatient(fleet: Fleet) -> None:
    """For tests of silence alone: elsewhere a busy machine would look like a silent upstream."""
    for upstream in fleet.cloud.upstreams:
        upstream._patience = IMPATIENT
