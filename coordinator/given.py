"""The ids of answers under way, so that another machine can go on where one fails.

Kept in the form in which they would be sent. They are the client's already: nothing is held here
that it was not told, and it goes when the request ends.
"""

from dataclasses import dataclass, field

from mesh.core.types import RequestKey
from mesh.v1 import inference_pb2 as inference
from mesh.wire.requests import RESUME_IDS_MAX

# 256 MiB at four bytes each: 8,192 open requests, the most there are, of 8,192 tokens. Answers that
# find no room are given all the same, and are lost if their machine is.
IDS_HELD_MAX = 64 * 1024 * 1024


@dataclass(slots=True)
class GivenAnswers:
    """What the clients of this coordinator have of their answers."""

    _held: dict[RequestKey, inference.Resume] = field(default_factory=dict)
    _reserved: dict[RequestKey, int] = field(default_factory=dict)
    _reserved_ids: int = 0

    def can_hold(self, started: inference.GenerationStarted) -> bool:
        """Will an answer that begins so be held? Adopted engines give no ids."""
        return bool(started.prompt_ids) and self._reserved_ids + _size(started) <= IDS_HELD_MAX

    def begin(
        self,
        key: RequestKey,
        request: inference.GenerateRequest,
        started: inference.GenerationStarted,
    ) -> None:
        """An answer begins, or another machine begins it anew."""
        self.forget(key)
        if not self.can_hold(started):
            return
        self._reserved[key] = _size(started)
        self._reserved_ids += _size(started)
        self._held[key] = inference.Resume(
            prompt_ids=started.prompt_ids,
            emitted_ids=request.resume.emitted_ids,  # of an answer that the client itself resumes
            text_bytes_sent=request.resume.text_bytes_sent,
            seed=started.seed,
            sampler_version=started.sampler_version,
            model_id=started.model_id,
            numerics=started.numerics,
        )

    def add(self, key: RequestKey, delta: inference.GenerationDelta) -> None:
        """The client is given more."""
        held = self._held.get(key)
        if held is not None:
            held.emitted_ids.extend(delta.ids)
            held.text_bytes_sent += len(delta.text.encode())

    def forget(self, key: RequestKey) -> None:
        self._held.pop(key, None)
        self._reserved_ids -= self._reserved.pop(key, 0)

    def continued(
        self, key: RequestKey, request: inference.GenerateRequest
    ) -> inference.GenerateRequest:
        """Return the request that a machine gets which goes on with the answer, if there is one."""
        held = self._held.get(key)
        if held is None or len(held.emitted_ids) == len(request.resume.emitted_ids):
            return request
        going_on = inference.GenerateRequest()
        going_on.CopyFrom(request)
        going_on.resume.CopyFrom(held)
        return going_on


def _size(started: inference.GenerationStarted) -> int:
    """How many ids the answer has at its end, at most: those of a full context."""
    return min(max(started.context_tokens, len(started.prompt_ids)), RESUME_IDS_MAX)
