"""A real coordinator whose cloud is an upstream on loopback that does what the test says."""

from collections.abc import AsyncIterator

import pytest

from coordinator.cloud.upstream import Upstream
from coordinator.coordinator import Coordinator
from mesh.chat_api.patience import Patience
from mesh.settings import CloudSettings, Settings
from tests.coordinator.cloud.asking import Fleet, adapter
from tests.coordinator.cloud.played_upstream import PlayedUpstream
from tests.coordinator.conftest import patient_settings

KEY = "sk-test-0123456789"
MODEL = "big-model"

# What a test waits for where it has to wait for silence.
IMPATIENT = Patience(
    connect_s=0.25, first_token_s=1.0, chunk_s=0.3, usage_s=0.1, refusal_s=0.2, drain_s=0.1
)


@pytest.fixture
async def upstream() -> AsyncIterator[PlayedUpstream]:
    played = PlayedUpstream()
    await played.start()
    yield played
    await played.stop()


@pytest.fixture
def cloud_settings(upstream: PlayedUpstream) -> CloudSettings:
    """2 micro-USD a token in, 10 out."""
    return CloudSettings.model_validate(
        {
            "base_url": upstream.base_url,
            "model": MODEL,
            "api_key": KEY,
            "max_usd_per_day": 5.0,
            "input_usd_per_million_tokens": 2.0,
            "output_usd_per_million_tokens": 10.0,
        }
    )


@pytest.fixture
def settings(cloud_settings: CloudSettings) -> Settings:
    return patient_settings().model_copy(update={"cloud": cloud_settings})


@pytest.fixture
def cloud(coordinator: Coordinator) -> Upstream:
    assert coordinator.cloud is not None
    [only] = coordinator.cloud.upstreams
    return only


@pytest.fixture
def impatient(cloud: Upstream) -> None:
    cloud._patience = IMPATIENT


@pytest.fixture
async def fleet(cloud_settings: CloudSettings) -> AsyncIterator[Fleet]:
    """The adapter alone."""
    async with adapter(cloud_settings) as running:
        yield running
