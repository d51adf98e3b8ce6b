"""What a client holds of an answer that is on its way, so that it can ask for the rest of it."""

from mesh.core.types import FailureCode
from mesh.errors import MeshError
from mesh.rpc import ERROR_BY_CODE
from mesh.v1 import inference_pb2 as inference

CUT = "the coordinator was lost mid-answer"
CUT_HINT = "ask again"


class HeldAnswer:
    """Follows the events of one answer, over as many connections as it takes."""

    def __init__(self, request: inference.GenerateRequest) -> None:
        self._request = request
        self._started = inference.GenerationStarted()
        self._resume = inference.Resume()
        self._resume.CopyFrom(request.resume)
        self.delta = False  # some of the answer has come
        self.failure: MeshError | None = None  # told in the stream, with the receipt

    @property
    def can_go_on(self) -> bool:
        """Can the rest be asked for? Not of an engine that gives text without its tokens."""
        return bool(self._resume.prompt_ids and self._resume.emitted_ids)

    def take(self, event: inference.GenerateEvent) -> bool:
        """Take in an event; return whether whoever asked is to see it.

        That an answer goes on is no second beginning.
        """
        match event.WhichOneof("event"):
            case "delta":
                self.delta = True
                self._resume.emitted_ids.extend(event.delta.ids)
                self._resume.text_bytes_sent += len(event.delta.text.encode())
            case "restarted":
                self.delta = False
                self._resume.CopyFrom(self._request.resume)
            case "started" if self.delta:
                return False
            case "started":
                self._begin(event.started)
            case "failed":
                told = event.failed
                error = ERROR_BY_CODE.get(told.code, MeshError)
                self.failure = error(told.message, hint=told.hint)
            case _:
                pass
        return True

    def ask_for_the_rest(self) -> None:
        """Make the request one for what has not come yet. Its seed is that of the beginning."""
        self._request.resume.CopyFrom(self._resume)

    def cut(self) -> inference.GenerateEvent:
        """Return the last event of an answer whose rest is gone, with the receipt that is left."""
        started, code = self._started, FailureCode.ANSWER_LOST
        attempt = inference.Attempt(
            attempt_id=started.attempt_id,
            node_id=started.node_id,
            node_name=started.node_name,
            model_id=started.model_id,
            model_name=started.model_name,
            outcome=code,
            reason=CUT,
            tier=started.tier,
        )
        receipt = inference.Receipt(
            request_id=self._request.request_id,
            asked_model=self._request.model,
            tier=started.tier,
            attempts=[attempt],
            why=started.why,
        )
        failed = inference.GenerationFailed(
            code=code, message=CUT, hint=CUT_HINT, retryable=True, receipt=receipt
        )
        return inference.GenerateEvent(failed=failed)

    def _begin(self, started: inference.GenerationStarted) -> None:
        self._started = started
        held = self._resume
        del held.prompt_ids[:]
        held.prompt_ids.extend(started.prompt_ids)
        held.seed, held.sampler_version = started.seed, started.sampler_version
        held.model_id, held.numerics = started.model_id, started.numerics
