"""Settings of one machine: ``deskmesh.toml`` in its home, overridden by ``DESKMESH_*`` variables.

``DESKMESH_PORTS__MESH=8443`` sets ``ports.mesh``. Few knobs: each says its unit and its trade-off.
"""

import os
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from mesh.cloud_settings import CloudModelSettings, UpstreamSettings
from mesh.cloud_settings import CloudSettings as CloudSettings  # noqa: PLC0414 - part of the whole
from mesh.core.catalogue import Stated
from mesh.core.limits import CANARY_SHARE, HELD_TOKENS_MAX
from mesh.core.policies import POLICY_NAME, WEIGHT_MAX, Order, Policy, policies
from mesh.core.rung_cost import USD_PER_KWH
from mesh.errors import InvalidRequest
from mesh.home import Home
from mesh.identity.address import split_address
from mesh.model_settings import MODELS_MAX, ModelSettings, check_names
from mesh.node_settings import Generosity as Generosity  # noqa: PLC0414
from mesh.node_settings import ModelStore as ModelStore  # noqa: PLC0414
from mesh.node_settings import NodeSettings as NodeSettings  # noqa: PLC0414
from mesh.node_settings import OnBattery as OnBattery  # noqa: PLC0414
from mesh.section import Section as Section  # noqa: PLC0414 - as every table here is
from mesh.settings_mistakes import PREFIX, Mistakes, key_of


class Advertise(StrEnum):
    """How much a machine tells its network about itself by mDNS."""

    FULL = "full"
    MINIMAL = "minimal"  # no names of models, no load: they are nobody's business on office Wi-Fi
    OFF = "off"


class PortSettings(Section):
    """Where this machine listens. 0 takes any free port."""

    mesh: int = Field(
        default=7443, ge=0, le=65535, description="Coordinator, mTLS, all interfaces."
    )
    join: int = Field(default=7444, ge=0, le=65535, description="Coordinator, TLS, all interfaces.")
    local: int = Field(default=7481, ge=0, le=65535, description="Loopback gRPC for own programs.")
    http: int = Field(
        default=7480, ge=0, le=65535, description="Loopback HTTP: tools at /v1, the page at /."
    )


class DiscoverySettings(Section):
    """How machines find each other."""

    multicast: bool = Field(default=True, description="Browse and advertise by mDNS.")
    advertise: Advertise = Field(default=Advertise.FULL)
    interfaces: tuple[str, ...] = Field(
        default=(), max_length=16, description="Addresses to use for mDNS; empty: every one."
    )
    seeds: tuple[str, ...] = Field(
        default=(), max_length=32, description="Coordinators to dial, as host:port."
    )

    @field_validator("seeds")
    @classmethod
    def _are_addresses(cls, seeds: tuple[str, ...]) -> tuple[str, ...]:
        """Without a #fingerprint, which may follow: the mesh's CA proves who answers."""
        addresses = tuple(seed.partition("#")[0] for seed in seeds)
        for address in addresses:
            try:
                split_address(address)
            except InvalidRequest as failure:
                raise ValueError(str(failure)) from None
        return addresses


class FleetSettings(Section):
    """How quickly the coordinator notices a lost node, and what it holds. Durations in seconds."""

    beat_every_s: float = Field(default=1.0, gt=0, le=60)
    suspect_after_s: float = Field(default=3.0, gt=0, description="No report: no new attempts.")
    lost_after_s: float = Field(default=10.0, gt=0, description="No report: its attempts are lost.")
    goes_on_within_s: float = Field(
        default=10.0,
        ge=0,
        le=600,
        description="A cut answer waits so long for a machine to go on with it, then it is lost.",
    )
    nodes_max: int = Field(default=4096, ge=1, description="Further nodes are refused.")
    waiting_max: int = Field(
        default=1000, ge=0, description="Requests that wait for a slot; further ones are refused."
    )

    @model_validator(mode="after")
    def _durations_are_ordered(self) -> Self:
        if not 2 * self.beat_every_s <= self.suspect_after_s < self.lost_after_s:
            raise ValueError("need 2 * beat_every_s <= suspect_after_s < lost_after_s")
        return self


class PolicySettings(Section):
    """An operator's own policy, see ``mesh.core.policies``. Weights of seconds, and of strains."""

    first_token: float = Field(default=1.0, ge=0, le=WEIGHT_MAX, description="Of its seconds.")
    completion: float = Field(
        default=0.1, ge=0, le=WEIGHT_MAX, description="Of the whole answer's."
    )
    battery: float = Field(default=0.5, ge=0, le=WEIGHT_MAX, description="Spares batteries.")
    heat: float = Field(default=0.5, ge=0, le=WEIGHT_MAX, description="Spares hot machines.")
    owner: float = Field(default=0.5, ge=0, le=WEIGHT_MAX, description="Spares those in use.")
    models: Order = Field(default=Order.LARGEST, description="Which auto tries first.")
    target: float = Field(
        default=0.8, gt=0, le=1, description="P(ok) from which on a cheaper model will do."
    )
    cascade: bool = Field(default=True, description="May a cheaper one be tried, and judged?")
    risk: float = Field(
        default=0.1, gt=0, lt=1, description="Share of answers let stand so that may be wrong."
    )
    hold_tokens: int = Field(
        default=24,
        ge=1,
        le=HELD_TOKENS_MAX,
        description="Judged by so many; more is surer, and shows its first word later.",
    )
    cloud: bool = Field(default=True, description="May auto be answered by the cloud's model?")

    @model_validator(mode="after")
    def _weighs_something(self) -> Self:
        if not self.first_token + self.completion > 0:
            raise ValueError(
                "first_token and completion are both 0, so every machine costs nothing"
            )
        return self


class EnergySettings(Section):
    """What the machines' own work costs, beside the upstreams' prices."""

    usd_per_kwh: float = Field(
        default=USD_PER_KWH,
        gt=0,
        le=100,
        description="A household's price in the EU; rungs of the mesh are compared by it.",
    )


class AuditSettings(Section):
    """Answers that are asked again of a better model, to learn how good the first one was."""

    share: float = Field(
        default=0.05, ge=0, le=1, description="Of the answers to `auto`. 0: nothing is audited."
    )
    under_way_max: int = Field(
        default=2, ge=1, le=64, description="More would take slots that people could want."
    )
    cloud_microusd_a_day: int = Field(
        default=0, ge=0, description="For audits by the cloud. 0: none leaves the mesh."
    )


class LadderSettings(Section):
    """Which model is good enough for a request that leaves it to the mesh."""

    scorer: Path | None = Field(
        default=None,
        description="A file of `deskmesh route train`. Unset: the one that comes with deskmesh.",
    )
    scores: bool = Field(
        default=True, description="Off: no prompt is looked at, and the policy's order decides."
    )
    canary_share: float = Field(
        default=CANARY_SHARE,
        ge=0,
        le=0.5,
        description="Of the requests on a new model's ground, to try it on. 0: it is not tried.",
    )


class LedgerSettings(Section):
    """What the coordinator remembers of requests: numbers and names, never a prompt."""

    keep_days: int = Field(default=90, ge=1, le=3650, description="Older rows are removed.")


class Settings(BaseSettings):
    """Everything a machine's owner may decide."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__"
    )

    ports: PortSettings = PortSettings()
    discovery: DiscoverySettings = DiscoverySettings()
    node: NodeSettings = NodeSettings()
    fleet: FleetSettings = FleetSettings()
    cloud: CloudSettings = CloudSettings()
    ledger: LedgerSettings = LedgerSettings()
    energy: EnergySettings = EnergySettings()
    audits: AuditSettings = AuditSettings()
    ladder: LadderSettings = LadderSettings()
    models: dict[str, ModelSettings] = Field(default={}, max_length=MODELS_MAX)
    policies: dict[str, PolicySettings] = Field(default={}, max_length=64)

    @field_validator("policies")
    @classmethod
    def _are_named(cls, own: dict[str, PolicySettings]) -> dict[str, PolicySettings]:
        for name in own:
            if not POLICY_NAME.fullmatch(name):
                raise ValueError(f"{name[:40]!r} is no name: use [a-z0-9_-], at most 40 of them")
        return own

    @field_validator("models")
    @classmethod
    def _do_not_clash(cls, models: dict[str, ModelSettings]) -> dict[str, ModelSettings]:
        check_names(models)
        return models

    def stated_models(self) -> dict[str, Stated]:
        """Return the operator's word on models, by the names that the settings use."""
        return {name: each.stated() for name, each in self.models.items()}

    def all_policies(self) -> dict[str, Policy]:
        """Return the built-in policies and the operator's own, by name."""
        own = (Policy(name, **dict(each)) for name, each in self.policies.items())
        return policies(own)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, the file over the defaults."""
        file = TomlConfigSettingsSource(settings_cls, toml_file=Home.find().settings_file)
        return (init_settings, env_settings, file)


def variables_set() -> list[str]:
    """Return the variables of the environment that set something, by name."""
    tables = Settings.model_fields
    return [each for each in sorted(os.environ) if key_of(each).partition("__")[0] in tables]


# Tables that an operator names, or numbers.
_NAMED: dict[str, type[Section]] = {
    r"policies\.[^.]+": PolicySettings,
    r"models\..+": ModelSettings,
    r"cloud\.upstreams\.[^.]+": UpstreamSettings,
    r"cloud\.upstreams\.[^.]+\.models\.\d+": CloudModelSettings,
}


def load_settings() -> Settings:
    """Read the settings of the current home.

    Raises:
        InvalidRequest: the file is not TOML, or a value is unknown or out of range; says which,
            and what has set it.
    """
    mistakes = Mistakes(Settings, _NAMED, Home.find().settings_file)
    mistakes.check_variables()
    try:
        return Settings()
    except (tomllib.TOMLDecodeError, SettingsError, ValidationError) as failure:
        raise mistakes.in_words(failure) from None
