"""The answer streams of running attempts, as effects see them."""

import asyncio
from dataclasses import dataclass, field

from mesh.core.types import AttemptId, RequestKey


@dataclass(slots=True)
class Delivery:
    """One Deliver stream. The attempt lives exactly as long as it does."""

    delivery_id: int
    attempt_id: AttemptId
    key: RequestKey | None = None  # set when the fleet accepts it
    finished: bool = False  # the answer is whole, or its failure told
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """End the stream: the node sees it within a millisecond, and stops."""
        self._ended.set()

    async def wait_ended(self) -> None:
        await self._ended.wait()
