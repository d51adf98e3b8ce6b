"""A fresh fleet for each test."""

import pytest
from hypothesis import settings

from tests.mesh.core.script import Script

# A busy machine is no failure; what failed is printed so that it can be replayed.
settings.register_profile("core", deadline=None, print_blob=True)
settings.load_profile("core")


@pytest.fixture
def script() -> Script:
    return Script()
