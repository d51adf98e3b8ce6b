"""OpenAI's API as an adapter."""

import re
from dataclasses import dataclass, field

from coordinator.cloud.api import Additions
from mesh.chat_api.content import to_json
from mesh.chat_api.openai_body import seed_sent, written
from mesh.chat_api.openai_chunks import Chunks
from mesh.core.types import Capability
from mesh.v1 import inference_pb2 as inference

_OPENAI_OWN = re.compile(r"(api\.openai\.com|[a-z0-9-]+\.openai\.azure\.com)")


def limit_field(host: str) -> str:
    """What the upstream calls ``max_tokens``: OpenAI itself refuses the name all others use."""
    return "max_completion_tokens" if _OPENAI_OWN.fullmatch(host) else "max_tokens"


@dataclass(frozen=True, slots=True)
class OpenAi:
    """``coordinator.cloud.api.Api`` for whoever speaks as OpenAI does."""

    limit_field: str
    sampling: bool = True
    additions: Additions = field(default_factory=dict, repr=False)
    path: str = "/chat/completions"
    assumed: frozenset[Capability] = frozenset(
        {Capability.TOOLS, Capability.GRAMMAR, Capability.LOGPROBS, Capability.VISION}
    )

    def key_header(self, key: str) -> tuple[str, str]:
        return "authorization", f"Bearer {key}"

    def headers(self) -> dict[str, str]:
        return {}

    def write_body(
        self, request: inference.GenerateRequest, *, model: str, max_tokens: int
    ) -> bytes:
        own = {"model": model, self.limit_field: max_tokens}
        said = written(request, sampling=self.sampling)
        return to_json({**self.additions, **own, **said})

    def seed_sent(self, request: inference.GenerateRequest) -> int:
        return seed_sent(request) if self.sampling else 0

    def read(self, prompt_tokens: int) -> Chunks:
        return Chunks(prompt_tokens)
