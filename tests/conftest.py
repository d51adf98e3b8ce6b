"""For every test: what holds for all of them."""

import gc

from hypothesis import settings

# Machines here are shared and noisy, so no property is held to a time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the tests and modules, which stay until the end.

    Tests that count what is left behind collect first; with all tests collected, that took 0.13 s
    before each, and takes some milliseconds so.
    """
    gc.collect()
    gc.freeze()
