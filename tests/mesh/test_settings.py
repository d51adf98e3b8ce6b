"""Settings come from file and environment, and a mistake is told with its place."""

from pathlib import Path

import pytest

from mesh.core.catalogue import Stated, TokenPrice
from mesh.core.policies import Order, Policy
from mesh.errors import InvalidRequest
from mesh.home import Home
from mesh.member import reach_coordinator
from mesh.settings import load_settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESKMESH_HOME", str(tmp_path))
    return tmp_path


def test_without_a_file_the_defaults_hold(home: Path) -> None:
    assert load_settings().ports.mesh == 7443


def test_the_environment_wins_over_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "deskmesh.toml").write_text('[ports]\nmesh = 1\njoin = 2\n[node]\nname = "a"\n')
    monkeypatch.setenv("DESKMESH_PORTS__MESH", "9")
    settings = load_settings()
    assert (settings.ports.mesh, settings.ports.join, settings.node.name) == (9, 2, "a")


def test_seeds_come_from_the_environment_as_json(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKMESH_DISCOVERY__SEEDS", '["a:1", "b:2"]')
    assert load_settings().discovery.seeds == ("a:1", "b:2")


def test_a_misspelt_table_of_a_variable_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKMESH_PROTS__MESH", "9")
    with pytest.raises(InvalidRequest, match=r"no setting prots\.mesh") as told:
        load_settings()
    assert told.value.hint == "did you mean ports.mesh?"


def test_one_underscore_for_two_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKMESH_SUPERVISED", "1")  # the program's own, and no setting
    load_settings()
    monkeypatch.setenv("DESKMESH_PORTS_HTTP", "5")
    with pytest.raises(InvalidRequest, match="DESKMESH_PORTS_HTTP sets nothing") as told:
        load_settings()
    assert told.value.hint == "did you mean DESKMESH_PORTS__HTTP?"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DESKMESH_PORTS__HTP", "5"),
        ("DESKMESH_PORTS__HTTP", "70000"),
        ("DESKMESH_PORTS", '{"htp": 5}'),
        ("DESKMESH_DISCOVERY__SEEDS", "10.0.0.5:7443"),
        ("DESKMESH_FLEET__LOST_AFTER_S", "1"),
    ],
)
def test_the_variable_that_is_wrong_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidRequest, match=f"the variable {name}"):
        load_settings()


async def test_a_mistake_is_told_before_who_this_machine_is(home: Path) -> None:
    (home / "deskmesh.toml").write_text("[ports\n")
    with pytest.raises(InvalidRequest, match="not valid TOML"):
        await reach_coordinator(Home(home))


def test_the_file_is_named_where_the_mistake_is_its_own(home: Path) -> None:
    (home / "deskmesh.toml").write_text("[ports]\nhtp = 5\n")
    with pytest.raises(InvalidRequest, match=r"no setting ports\.htp, as .*deskmesh\.toml has"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[ports]\nmehs = 1\n", r"ports\.mehs"),
        ("[ports]\nmesh = 70000\n", r"ports\.mesh"),
        ("[ports\n", "not valid TOML"),
        ("[policies.cheap]\nbatery = 1\n", r"did you mean policies\.cheap\.battery\?"),
        ("[policies.cheap]\nheat = -1\n", r"policies\.cheap\.heat"),
        ("[policies.cheap]\nheat = nan\n", r"policies\.cheap\.heat"),
        ("[policies.cheap]\ntarget = 1.1\n", r"policies\.cheap\.target"),
        ("[policies.cheap]\nrisk = 0\n", r"policies\.cheap\.risk"),
        ("[policies.cheap]\nhold_tokens = 5000\n", r"policies\.cheap\.hold_tokens"),
        ("[policies.cheap]\nfirst_token = 0\ncompletion = 0\n", "both 0"),
        ("[policies.'a b']\nheat = 1\n", "'a b' is no name"),
        ("[fleet]\nsuspect_after_s = 0.5\n", "2 \\* beat_every_s"),
        ("[fleets]\n", "fleets"),
    ],
)
def test_a_mistake_is_told_with_its_place(home: Path, content: str, says: str) -> None:
    (home / "deskmesh.toml").write_text(content)
    with pytest.raises(InvalidRequest, match=says):
        load_settings()


def test_a_variable_that_is_no_json_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKMESH_DISCOVERY__SEEDS", "a:1")
    with pytest.raises(InvalidRequest, match="lists are JSON"):
        load_settings()


def test_an_operators_policy_stands_beside_the_built_in_ones(home: Path) -> None:
    (home / "deskmesh.toml").write_text('[policies.cheap]\nbattery = 9\nmodels = "smallest"\n')
    known = load_settings().all_policies()
    assert list(known) == ["frugal", "balanced", "best", "fast", "private", "cheap"]
    assert known["cheap"] == Policy("cheap", battery=9, models=Order.SMALLEST)


def test_an_operators_policy_says_how_the_ladder_is_climbed(home: Path) -> None:
    (home / "deskmesh.toml").write_text(
        "[policies.sure]\ntarget = 0.95\nrisk = 0.02\nhold_tokens = 64\n"
        "[policies.guess]\ncascade = false\n"
    )
    known = load_settings().all_policies()
    assert known["sure"] == Policy("sure", target=0.95, risk=0.02, hold_tokens=64)
    assert known["guess"] == Policy("guess", cascade=False)


def test_an_operators_policy_takes_the_place_of_one_of_its_name(home: Path) -> None:
    (home / "deskmesh.toml").write_text("[policies.balanced]\ncompletion = 2\n")
    assert load_settings().all_policies()["balanced"].completion == 2


def test_an_operators_word_on_a_model_is_read(home: Path) -> None:
    (home / "deskmesh.toml").write_text(
        '[models."qwen2.5-7b"]\naliases = ["house"]\ndomains = ["Security"]\nquality = 0.8\n'
        "input_usd_per_million_tokens = 1\noutput_usd_per_million_tokens = 2.5\n"
    )
    (said,) = load_settings().stated_models().items()
    assert said == (
        "qwen2.5-7b",
        Stated(
            aliases=("house",),
            domains=("security",),
            quality=0.8,
            price=TokenPrice(1.0, 2.5, "operator"),
        ),
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[models.a]\nqualty = 1\n", r"did you mean models\.a\.quality\?"),
        ("[models.a]\nquality = 2\n", r"models\.a\.quality"),
        ("[models.a]\ninput_usd_per_million_tokens = 1\n", "needs both"),
        ('[models.a]\naliases = ["auto"]\n', "'auto' cannot be an alias"),
        ('[models.a]\naliases = ["x"]\n[models.b]\naliases = ["X"]\n', "name of a and of b"),
        ('[models.a]\naliases = ["B"]\n[models.b]\n', "'B' is a name of b and of a"),
        ("[models.a]\n[models.A]\n", "case does not count"),
        ("[energy]\nusd_per_kwh = 0\n", r"energy\.usd_per_kwh"),
        ("[[rules]]\nname = 'x'\n", r"did you mean rules\.toml"),
    ],
)
def test_a_mistake_about_models_is_told(home: Path, content: str, says: str) -> None:
    (home / "deskmesh.toml").write_text(content)
    with pytest.raises(InvalidRequest, match=says):
        load_settings()


@pytest.mark.parametrize("name", ["NODE_PORT", "NODE_SERVICE_HOST", "NODE_PORT_7443_TCP_ADDR"])
def test_what_kubernetes_tells_of_a_service_is_none_of_ours(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"DESKMESH_{name}", "tcp://10.0.0.7:7443")
    assert load_settings().node.name == ""
