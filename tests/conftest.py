"""For every test: machines here are shared and noisy, so no property is held to a time."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
