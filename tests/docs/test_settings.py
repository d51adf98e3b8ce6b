"""docs/settings.md tells every setting with its default, and no other."""

import re
from pathlib import Path

from mesh.cloud_settings import CloudModelSettings, UpstreamSettings
from mesh.model_settings import ModelSettings
from mesh.settings import PolicySettings, Section, Settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def _documented() -> dict[str, str]:
    rows = re.findall(r"^\| `(\w+\.[\w.]+)` \| ([^|]+) \|", DOCUMENT.read_text(), re.MULTILINE)
    return {key: default.strip() for key, default in rows}


def _known() -> dict[str, object]:
    known: dict[str, object] = {}
    for name in Settings.model_fields:
        section, shown = getattr(Settings(), name), name
        if name == "policies":  # as many as an operator likes, each a section
            section, shown = PolicySettings(), "policies.NAME"
        if name == "models":
            section, shown = ModelSettings(), "models.NAME"
        assert isinstance(section, Section)
        known |= _keys(shown, section)
    known |= _keys("cloud.upstreams.NAME", UpstreamSettings(base_url="-", model="-"))
    return known | _keys("cloud.upstreams.NAME.models", CloudModelSettings(name="-"))


def _keys(shown: str, section: Section) -> dict[str, object]:
    return {f"{shown}.{key}": getattr(section, key) for key in type(section).model_fields}


def test_every_setting_is_documented_and_no_other() -> None:
    assert _documented().keys() == _known().keys()


def test_the_documented_defaults_are_true() -> None:
    documented = _documented()
    for key, default in _known().items():
        if isinstance(default, bool):
            assert documented[key] == str(default).lower(), key
        elif isinstance(default, int | float):
            assert float(documented[key]) == float(default), key
