"""Settings of the cloud: upstreams, their models and keys, prices, shares, and the day's cap.

``[cloud]`` itself may name one upstream with one model; ``[cloud.upstreams.NAME]`` names more of
them. Both have the same fields for key and price.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, SecretStr, field_validator, model_validator

from mesh.section import Section

UPSTREAMS_MAX = 16
MODELS_MAX = 64  # of one upstream; a ladder with more rungs is nobody's plan
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")  # of an upstream, on terminals and receipts

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,512}")
_QUERY = re.compile(r"[A-Za-z0-9._~-]{1,64}")  # of name and value: nothing that needs escaping
# What the client writes itself: the key, and how the body is to be read.
_HEADERS_OURS = frozenset(
    {
        *("authorization", "x-api-key", "api-key", "proxy-authorization", "cookie", "host"),
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length"),
        *("content-type", "transfer-encoding", "upgrade", "expect", "te", "trailer"),
    }
)
# What a request decides, or what money is set aside by: two answers at once would cost two.
_BODY_OURS = frozenset(
    {
        *("model", "messages", "system", "stream", "stream_options", "tools", "tool_choice"),
        *("max_tokens", "max_completion_tokens", "n", "best_of", "stop", "stop_sequences"),
        *("response_format", "logprobs", "top_logprobs"),
    }
)


class KeySettings(Section):
    """Where an upstream's key comes from: one of these, or none where it needs no key."""

    api_key: SecretStr = Field(default=SecretStr(""), description="Better one of the others.")
    api_key_environment: str = Field(
        default="", max_length=256, description="The variable that holds it."
    )
    api_key_file: Path | None = Field(default=None, description="Or a file of its owner's.")
    api_key_keyring: str = Field(
        default="", max_length=256, description="Or its name in the OS keyring."
    )


class PriceSettings(Section):
    """What a model's tokens cost."""

    input_usd_per_million_tokens: float | None = Field(
        default=None, ge=0, le=100_000, description="Unset: the published price, if known."
    )
    output_usd_per_million_tokens: float | None = Field(default=None, ge=0, le=100_000)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.input_usd_per_million_tokens is None) != (
            self.output_usd_per_million_tokens is None
        ):
            raise ValueError("a price needs both its input and its output part")
        return self


class CloudModelSettings(PriceSettings):
    """One of several models of an upstream."""

    name: str = Field(min_length=1, max_length=256, description="As the upstream calls it.")
    alias: str = Field(
        default="", max_length=256, description="As the mesh calls it; empty: by its name."
    )
    context_tokens: int = Field(
        default=0, ge=0, le=100_000_000, description="Longer prompts go elsewhere; 0: unknown."
    )

    @property
    def called(self) -> str:
        """What the mesh calls it."""
        return self.alias or self.name


class UpstreamSettings(KeySettings, PriceSettings):
    """``[cloud.upstreams.NAME]``: one API, with one model and its price, or with several."""

    kind: Literal["openai", "anthropic"] = Field(
        default="openai", description="Which API it speaks: OpenAI's, as most do, or Anthropic's."
    )
    base_url: str = Field(min_length=1, max_length=512, description="Up to its /v1.")
    model: str = Field(default="", max_length=256, description="The one model asked there.")
    context_tokens: int = Field(default=0, ge=0, le=100_000_000, description="Of that model.")
    models: tuple[CloudModelSettings, ...] = Field(
        default=(), max_length=MODELS_MAX, description="Or several, each a table or a bare name."
    )
    api_key_header: str = Field(
        default="", max_length=64, description="Azure's is api-key; empty: as the API has it."
    )
    headers: dict[str, str] = Field(
        default={}, max_length=16, repr=False, description="Sent with each call."
    )
    query: dict[str, str] = Field(default={}, max_length=8, description="Such as api-version.")
    body: dict[str, JsonValue] = Field(
        default={}, max_length=16, description="Put into each call's JSON."
    )
    sampling: bool | None = Field(
        default=None, description="Send temperature and the like? Unset: to OpenAI's API only."
    )

    @field_validator("models", mode="before")
    @classmethod
    def _are_named(cls, models: Any) -> Any:
        if not isinstance(models, list | tuple):
            return models
        return [{"name": each} if isinstance(each, str) else each for each in models]

    @field_validator("api_key_header")
    @classmethod
    def _is_a_header(cls, name: str) -> str:
        if name and not _HEADER.fullmatch(name):
            raise ValueError("is no name of a header")
        return name

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"{name[:64]!r} is no header, or has a value that none can carry")
            if name.lower() in _HEADERS_OURS:
                raise ValueError(f"{name} is not to be set; a key is api_key_environment's")
        return headers

    @field_validator("query")
    @classmethod
    def _is_plain(cls, query: dict[str, str]) -> dict[str, str]:
        for name, value in query.items():
            if not _QUERY.fullmatch(name) or not _QUERY.fullmatch(value):
                raise ValueError(f"{name[:64]!r} or its value has more than letters and . _ ~ -")
        return query

    @field_validator("body")
    @classmethod
    def _is_an_addition(cls, body: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := sorted(_BODY_OURS & body.keys()):
            raise ValueError(f"{taken[0]} is each request's own")
        return body

    @model_validator(mode="after")
    def _has_one_or_several(self) -> Self:
        if bool(self.model) == bool(self.models):
            raise ValueError("name one model, or several in models")
        priced = self.input_usd_per_million_tokens is not None
        if self.models and (priced or self.context_tokens):
            raise ValueError("with several models each has a price and a context of its own")
        return self

    def served(self) -> tuple[CloudModelSettings, ...]:
        """Return its models, however they were written."""
        return self.models or (
            CloudModelSettings(
                name=self.model,
                context_tokens=self.context_tokens,
                input_usd_per_million_tokens=self.input_usd_per_million_tokens,
                output_usd_per_million_tokens=self.output_usd_per_million_tokens,
            ),
        )


class CloudSettings(KeySettings, PriceSettings):
    """Who answers what no machine can and what may leave. Off until an upstream is named."""

    base_url: str = Field(
        default="", max_length=512, description="An OpenAI-compatible API, up to its /v1."
    )
    model: str = Field(default="", max_length=256, description="As the upstream calls it.")
    max_usd_per_day: float | None = Field(
        default=None, ge=0, le=1_000_000, description="Unset: nothing is spent at all."
    )
    default_tier: Literal["device", "mesh", "cloud"] = Field(
        default="mesh", description="How far a prompt may travel whose request does not say."
    )
    upstreams: dict[str, UpstreamSettings] = Field(
        default={}, max_length=UPSTREAMS_MAX, description="More of them, by name."
    )
    shares: dict[str, dict[str, float]] = Field(
        default={}, max_length=16, description="Groups of equal models, each with its weight."
    )

    @property
    def on(self) -> bool:
        """Is there an upstream?"""
        return bool(self.base_url or self.upstreams)

    def single(self) -> UpstreamSettings | None:
        """Return the upstream that ``[cloud]`` itself names, if it does."""
        if not self.base_url:
            return None
        return UpstreamSettings(
            base_url=self.base_url,
            model=self.model,
            api_key=self.api_key,
            api_key_environment=self.api_key_environment,
            api_key_file=self.api_key_file,
            api_key_keyring=self.api_key_keyring,
            input_usd_per_million_tokens=self.input_usd_per_million_tokens,
            output_usd_per_million_tokens=self.output_usd_per_million_tokens,
        )

    def called(self) -> Iterator[str]:
        """Yield what the mesh calls each model, in the order of the settings."""
        every = (self.single(), *self.upstreams.values())
        for upstream in filter(None, every):
            yield from (model.called for model in upstream.served())

    @field_validator("upstreams")
    @classmethod
    def _are_named(cls, upstreams: dict[str, UpstreamSettings]) -> dict[str, UpstreamSettings]:
        for name in upstreams:
            if not NAME.fullmatch(name):
                raise ValueError(f"{name[:40]!r} is no name: use [a-z0-9_-], at most 40 of them")
        return upstreams

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if bool(self.base_url) != bool(self.model):
            raise ValueError("cloud.base_url and cloud.model need each other")
        names = list(self.called())
        if twice := sorted({each for each in names if names.count(each) > 1}):
            raise ValueError(f"two models are called {twice[0]}: give one of them an alias")
        return self

    @model_validator(mode="after")
    def _are_equals(self) -> Self:
        known, seen = set(self.called()), set[str]()
        for group, shares in self.shares.items():
            if len(shares) < 2:
                raise ValueError(f"cloud.shares.{group} needs two models at least")
            for name, share in shares.items():
                if name not in known:
                    raise ValueError(f"cloud.shares.{group}: no upstream has a model {name[:80]}")
                if name in seen:
                    raise ValueError(f"cloud.shares.{group}: {name} has a share already")
                if not 0 < share <= 1_000_000:
                    raise ValueError(f"cloud.shares.{group}.{name} is to be above 0")
            seen |= shares.keys()
        return self
