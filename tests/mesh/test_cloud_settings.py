"""Several upstreams with several models are written as their operator means them, or refused."""

from pathlib import Path

import pytest

from mesh.cloud_settings import CloudSettings
from mesh.errors import InvalidRequest
from mesh.settings import load_settings

BOTH = """
[cloud]
base_url = "http://localhost:8080/v1"
model = "at-home"
max_usd_per_day = 5

[cloud.shares]
frontier = { "gpt" = 50, "claude" = 30 }

[cloud.upstreams.azure]
base_url = "https://x.openai.azure.com/openai/deployments/gpt"
model = "gpt"
api_key_environment = "AZURE_KEY"
api_key_header = "api-key"
query = { "api-version" = "2024-10-21" }
context_tokens = 128000

[cloud.upstreams.anthropic]
kind = "anthropic"
base_url = "https://api.anthropic.com/v1"
api_key_keyring = "anthropic"

[[cloud.upstreams.anthropic.models]]
name = "claude"
context_tokens = 200000

[[cloud.upstreams.anthropic.models]]
name = "gpt"
alias = "not-gpt"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESKMESH_HOME", str(tmp_path))
    return tmp_path / "deskmesh.toml"


def read(file: Path, content: str) -> CloudSettings:
    file.write_text(content)
    return load_settings().cloud


def test_upstreams_stand_beside_the_one_of_the_table_itself(file: Path) -> None:
    cloud = read(file, BOTH)
    assert cloud.on
    assert list(cloud.called()) == ["at-home", "gpt", "claude", "not-gpt"]
    single = cloud.single()
    assert single is not None
    assert (single.kind, [each.name for each in single.served()]) == ("openai", ["at-home"])
    [gpt] = cloud.upstreams["azure"].served()
    assert (gpt.called, gpt.context_tokens) == ("gpt", 128_000)
    assert [each.name for each in cloud.upstreams["anthropic"].served()] == ["claude", "gpt"]


def test_without_any_the_cloud_is_off(file: Path) -> None:
    assert not read(file, "").on
    assert read(file, "").single() is None


def test_models_may_be_bare_names(file: Path) -> None:
    cloud = read(file, '[cloud.upstreams.a]\nbase_url = "https://a.example"\nmodels = ["x", "y"]\n')
    assert list(cloud.called()) == ["x", "y"]


def upstream(more: str, name: str = "a") -> str:
    return f'[cloud.upstreams.{name}]\nbase_url = "https://a.example"\n{more}\n'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (upstream(""), "name one model, or several"),
        (upstream('model = "x"\nmodels = ["y"]'), "name one model, or several"),
        (upstream('models = ["x"]\ncontext_tokens = 9'), "a context of its own"),
        (
            upstream(
                'models = ["x"]\ninput_usd_per_million_tokens = 1\n'
                "output_usd_per_million_tokens = 1"
            ),
            "a price and a context",
        ),
        (upstream('model = "x"\ninput_usd_per_million_tokens = 1'), "both its input and its"),
        (upstream('models = [{ name = "x", input_usd_per_million_tokens = 1 }]'), "both its input"),
        (upstream('models = ["x", "x"]'), "two models are called x: give one of them an alias"),
        (upstream('model = "x"', "a") + upstream('model = "x"', "b"), "two models are called x"),
        (upstream('model = "x"', '"A B"'), "'A B' is no name"),
        (upstream('model = "x"\nkind = "other"'), "cloud.upstreams.a.kind"),
        (upstream('modle = "x"'), r"there is no setting cloud\.upstreams\.a\.modle"),
        (
            upstream('models = [{ naem = "x", name = "x" }]'),
            r"cloud\.upstreams\.a\.models\.0\.naem",
        ),
        (upstream('model = "x"\nheaders = { "Authorization" = "x" }'), "is not to be set"),
        (upstream('model = "x"\nheaders = { "X-API-Key" = "x" }'), "is not to be set"),
        (upstream('model = "x"\nheaders = { "Host" = "x" }'), "is not to be set"),
        (upstream('model = "x"\nheaders = { "a" = "b\\r\\nc: d" }'), "'a' is no header"),
        (upstream('model = "x"\nheaders = { "a b" = "c" }'), "'a b' is no header"),
        (upstream('model = "x"\nquery = { "a" = "b&c=d" }'), "more than letters"),
        (upstream('model = "x"\napi_key_header = "a b"'), "is no name of a header"),
        (upstream('model = "x"\nbody = { max_tokens = 1 }'), "max_tokens is each request's own"),
        (upstream('model = "x"\nbody = { n = 2 }'), "n is each request's own"),
        (upstream('model = "x"\nbody = { messages = [] }'), "messages is each request's own"),
        (upstream('model = "x"') + "[cloud.shares]\ng = { x = 1 }\n", "needs two models"),
        (upstream('model = "x"') + "[cloud.shares]\ng = { x = 1, y = 1 }\n", "has a model y"),
        (upstream('models = ["x", "y"]') + "[cloud.shares]\ng = { x = 1, y = 0 }\n", "above 0"),
        (upstream('models = ["x", "y"]') + "[cloud.shares]\ng = { x = 1, y = nan }\n", "above 0"),
        (
            upstream('models = ["x", "y"]')
            + "[cloud.shares]\ng = { x = 1, y = 1 }\nh = { x = 1, y = 1 }\n",
            "has a share already",
        ),
        ('[cloud]\nmodel = "x"\n', "need each other"),
    ],
)
def test_a_mistake_is_told_with_its_place(file: Path, content: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        read(file, content)


def test_a_misspelt_key_of_an_upstream_is_mended(file: Path) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(file, upstream('model = "x"\nbase_ulr = "y"'))
    assert refused.value.hint == "did you mean cloud.upstreams.a.base_url?"
    with pytest.raises(InvalidRequest) as refused:
        read(file, upstream('models = [{ name = "x", alais = "y" }]'))
    assert refused.value.hint == "did you mean cloud.upstreams.a.models.0.alias?"


def test_no_value_of_a_header_is_in_an_error_or_shown(file: Path) -> None:
    secret = "sk-not-to-be-seen"
    with pytest.raises(InvalidRequest) as refused:
        read(file, upstream(f'model = "x"\nheaders = {{ "Authorization" = "{secret}" }}'))
    assert secret not in f"{refused.value} {refused.value.hint}"
    cloud = read(
        file, upstream(f'model = "x"\napi_key = "{secret}"\nheaders = {{ a = "{secret}" }}')
    )
    assert secret not in f"{cloud!r} {cloud}"
