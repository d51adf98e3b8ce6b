"""What every door of the mesh stands on: ask, and be answered as a stream of events.

The SDK's client implements it over gRPC, the coordinator in its own process, an agent by the
coordinator that it reaches and, where none answers, by the machine's own models. The HTTP door and
the loopback gRPC service know nothing else.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from mesh.v1 import inference_pb2 as inference


class Asking(Protocol):
    """Somebody who may ask the mesh."""

    def answer(
        self, request: inference.GenerateRequest
    ) -> AsyncGenerator[inference.GenerateEvent, None]:
        """Answer ``request``: ``started``, deltas, ``finished``.

        ``started`` may come again before the first delta, when another machine takes over. Closing
        the generator cancels the request, whose slot is free soon after.

        Raises:
            MeshError: why there is no answer, or no more of it; a ``failed`` event with the receipt
                comes before it, unless the request never began.
        """
        ...

    async def embeddings(self, request: inference.EmbedRequest) -> inference.EmbedResponse:
        """Turn texts into vectors. Cancelling the call frees the slot soon after.

        Raises:
            MeshError: why there are none.
        """
        ...

    async def token_count(
        self, request: inference.CountTokensRequest
    ) -> inference.CountTokensResponse:
        """Count the tokens that a model would read of a prompt.

        Raises:
            MeshError: nobody here has the model, or can tell.
        """
        ...

    async def models(self) -> Sequence[inference.ModelView]:
        """Return the models that may be asked for now, test models last.

        Raises:
            MeshError: nobody answers.
        """
        ...

    async def feedback(self, message: inference.Feedback) -> None:
        """Say how good an answer was. Said again, it takes the place of what was said before.

        Raises:
            MeshError: it cannot be kept: no such request of the caller's has ended, say.
        """
        ...

    async def outcome(self, message: inference.Outcome) -> None:
        """Say what became of a task.

        Raises:
            MeshError: as ``feedback``.
        """
        ...
