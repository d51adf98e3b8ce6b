"""What an adapter is: how to ask an API, and how to read what it says.

There is one for each API that upstreams speak. All the rest is the same for them: the gate, the
money, time, trying again. What a refusal means is as well
(``mesh.chat_api.refusals``): the APIs share HTTP's statuses and the shape of an error, an object
``error`` with a code or type and words.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from mesh.chat_api.answer import Answer
from mesh.core.types import Capability
from mesh.v1 import inference_pb2 as inference

Json = dict[str, Any]
Additions = Mapping[str, Any]  # of the operator, to the JSON of each call


class Api(Protocol):
    """One API, as one upstream speaks it."""

    @property
    def path(self) -> str:
        """What follows the base URL."""
        ...

    @property
    def assumed(self) -> frozenset[Capability]:
        """What is taken for granted of a model behind it.

        Where one lacks it, the upstream refuses the request and says so; leaving one out here would
        refuse it for all.
        """
        ...

    def key_header(self, key: str) -> tuple[str, str]:
        """Return the header that carries a key, unless the operator names another one."""
        ...

    def headers(self) -> dict[str, str]:
        """Return further headers of each call."""
        ...

    def write_body(
        self, request: inference.GenerateRequest, *, model: str, max_tokens: int
    ) -> bytes:
        """Write the JSON of a call.

        Raises:
            InvalidRequest: a schema, a media type or a call's arguments are malformed; says which.
            Unsupported: the request asks for what this API cannot do.
        """
        ...

    def seed_sent(self, request: inference.GenerateRequest) -> int:
        """Return the seed that the upstream gets, 0 if none."""
        ...

    def read(self, prompt_tokens: int) -> Answer:
        """Begin an answer to a prompt of about so many tokens."""
        ...
