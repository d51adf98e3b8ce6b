"""Anthropic's API as an adapter.

It speaks HTTP through the client that all adapters share, not through Anthropic's own library: a
library opens its connections itself, and the gate has to lie below every socket.
"""

from dataclasses import dataclass, field

from coordinator.cloud.anthropic.body import written
from coordinator.cloud.anthropic.events import Events
from coordinator.cloud.api import Additions
from mesh.chat_api.content import to_json
from mesh.core.types import Capability
from mesh.v1 import inference_pb2 as inference

# The version of the API; it names one since 2023, and adds to it without changing what is there.
VERSION = "2023-06-01"


@dataclass(frozen=True, slots=True)
class Anthropic:
    """``coordinator.cloud.api.Api`` for ``/messages``."""

    # Models since Opus 4.7 refuse a request that says a temperature, and most tools say one.
    sampling: bool = False
    additions: Additions = field(default_factory=dict, repr=False)
    path: str = "/messages"
    assumed: frozenset[Capability] = frozenset(
        {Capability.TOOLS, Capability.GRAMMAR, Capability.VISION}
    )

    def key_header(self, key: str) -> tuple[str, str]:
        return "x-api-key", key

    def headers(self) -> dict[str, str]:
        return {"anthropic-version": VERSION}

    def write_body(
        self, request: inference.GenerateRequest, *, model: str, max_tokens: int
    ) -> bytes:
        own = {"model": model, "max_tokens": max_tokens}
        said = written(request, sampling=self.sampling)
        return to_json({**self.additions, **own, **said})

    def seed_sent(self, request: inference.GenerateRequest) -> int:
        return 0  # the API knows none

    def read(self, prompt_tokens: int) -> Events:
        return Events(prompt_tokens)
