"""What an engine says, on its way up and on to the client, both ways."""

import re
from collections.abc import Sequence

from mesh.core.actions import SendRestarted, SendStarted
from mesh.core.chat import ToolCall
from mesh.core.generation import Delta, Finished, GenerationEvent, Started
from mesh.core.signs import TokenSign, pack_signs, unpack_signs
from mesh.core.types import Failure, FailureCode, Usage
from mesh.errors import ERROR_MESSAGE_CHARACTERS_MAX, InvalidRequest, MeshError
from mesh.rpc import ERROR_BY_CODE
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.logprobs import check_logprobs, read_logprobs, write_logprobs
from mesh.wire.requests import TOOL_NAME
from mesh.wire.text import printable

# The longest tokens of common vocabularies have 128 characters, and 16 are sent together at most.
DELTA_CHARACTERS_MAX = 64 * 1024
# Calls come whole, and an agent writes a file by one. The longest contexts hold about 1 MB of text;
# and a client may lag behind by twice as much as this (``TRANSCRIPT_BYTES_MAX``).
DELTA_CALLS_BYTES_MAX = 2 * 1024 * 1024
DELTA_IDS_MAX = 4096  # far more than wait at a node while the network is stuck
DELTA_CALLS_MAX = 128  # as many as a message may hold that tells of them
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def write_started(
    event: Started, *, seed: int, sampler_version: str
) -> inference.GenerationStarted:
    """Write what the node knows; the coordinator adds attempt and model."""
    return inference.GenerationStarted(
        prompt_ids=event.prompt_ids,
        prompt_tokens=len(event.prompt_ids),
        cached_tokens=event.cached_tokens,
        context_tokens=event.context_tokens,
        seed=seed,
        sampler_version=sampler_version,
        numerics=event.numerics,
    )


def write_origin(started: inference.GenerationStarted, action: SendStarted) -> None:
    """Add what the coordinator knows of who answers."""
    candidate = action.candidate
    started.attempt_id, started.why = action.attempt_id, action.why
    started.model_id, started.model_name = candidate.model_id, candidate.model_name
    started.node_id, started.node_name = candidate.node_id, candidate.node_name
    started.tier = enums.write(enums.TIER, action.tier)


def write_restarted(action: SendRestarted) -> inference.GenerationRestarted:
    return inference.GenerationRestarted(reason=action.reason, attempt_id=action.attempt_id)


def write_delta(event: Delta) -> inference.GenerationDelta:
    return inference.GenerationDelta(
        token_offset=event.token_offset,
        ids=event.ids,
        text=event.text,
        logprobs=write_logprobs(event.logprobs),
        reasoning=event.reasoning,
        tool_calls=[
            inference.ToolCall(id=call.id, name=call.name, arguments_json=call.arguments_json)
            for call in event.tool_calls
        ],
        signs=pack_signs(event.signs),
        token_count=event.without_ids,
    )


def write_finished(event: Finished) -> inference.GenerationFinished:
    return inference.GenerationFinished(
        reason=enums.write(enums.FINISH_REASON, event.reason),
        usage=write_usage(event.usage),
        prefill_s=event.prefill_s,
        decode_s=event.decode_s,
    )


def read_event(message: inference.GenerateEvent) -> GenerationEvent | None:
    """Return the event that a client sees, or None for one of a newer protocol.

    Raises:
        InvalidRequest: a finish reason is unknown.
    """
    match message.WhichOneof("event"):
        case "started":
            started = message.started
            return Started(
                tuple(started.prompt_ids),
                started.cached_tokens,
                started.context_tokens,
                started.numerics,
            )
        case "delta":
            delta = message.delta
            return Delta(
                delta.token_offset,
                tuple(delta.ids),
                delta.text,
                read_logprobs(delta.logprobs),
                delta.reasoning,
                tuple(ToolCall(c.id, c.name, c.arguments_json) for c in delta.tool_calls),
                without_ids=0 if delta.ids else delta.token_count,
            )
        case "finished":
            return read_finished(message.finished)
        case _:
            return None


def read_started(message: inference.GenerationStarted) -> inference.GenerationStarted:
    """Check what a node says, and return it with its texts made fit to pass on."""
    message.numerics = printable(message.numerics, 64)
    message.sampler_version = printable(message.sampler_version, 64)
    return message


def read_delta(
    message: inference.GenerationDelta, request: inference.GenerateRequest
) -> inference.GenerationDelta:
    """Check some tokens that a node answers ``request`` with, and return them.

    Raises:
        InvalidRequest: more text than any tokens make, calls that are none, or log-probabilities
            as ``check_logprobs``.
    """
    if (tokens := tokens_of(message)) > DELTA_IDS_MAX:
        raise InvalidRequest(f"a node sent {tokens} tokens as one batch")
    text_bytes = len(message.text) + len(message.reasoning)
    if text_bytes > DELTA_CHARACTERS_MAX:
        raise InvalidRequest(f"a node sent {text_bytes} characters as one batch of tokens")
    _check_calls(message.tool_calls)
    check_logprobs(message, request)
    return message


def tokens_of(message: inference.GenerationDelta) -> int:
    """Return how many tokens these are: ids that were told, or the count where none are."""
    return len(message.ids) or message.token_count


def take_signs(message: inference.GenerationDelta) -> tuple[TokenSign, ...]:
    """Take out of a node's tokens how sure its model was of them: clients are not told.

    Signs that can't be those of these tokens are dropped, all of them: whoever reads an answer
    loses nothing by a node that lies, and whoever judges it takes it for one that told nothing.
    """
    signs = unpack_signs(message.signs, len(message.ids))
    message.ClearField("signs")
    return signs or ()


def _check_calls(calls: Sequence[inference.ToolCall]) -> None:
    """A node's engine tells each call whole. Whether arguments are JSON is left to whoever calls:
    they are passed on as they are, and parsing megabytes here would hold up everybody else.
    """
    if not calls:
        return
    size_bytes = sum(call.ByteSize() for call in calls)
    if len(calls) > DELTA_CALLS_MAX or size_bytes > DELTA_CALLS_BYTES_MAX:
        raise InvalidRequest(f"a node sent {len(calls)} tool calls of {size_bytes} bytes at once")
    for call in calls:
        arguments = call.arguments_json
        whole = arguments.startswith("{") and arguments.endswith("}")
        if not (whole and _CALL_ID.fullmatch(call.id) and TOOL_NAME.fullmatch(call.name)):
            raise InvalidRequest("a node sent a tool call that is none")


def read_finished(message: inference.GenerationFinished) -> Finished:
    return Finished(
        enums.read(enums.FINISH_REASON, message.reason, "finished.reason"),
        read_usage(message.usage),
        message.prefill_s,
        message.decode_s,
    )


def read_usage(usage: inference.Usage) -> Usage:
    return Usage(
        usage.prompt_tokens,
        usage.cached_tokens,
        usage.completion_tokens,
        usage.reasoning_tokens,
        usage.estimated,
    )


def write_usage(usage: Usage) -> inference.Usage:
    return inference.Usage(
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        estimated=usage.estimated,
    )


# -- failures ------------------------------------------------------------------------------------


def write_attempt_failed(error: MeshError) -> fleet.AttemptFailed:
    return fleet.AttemptFailed(
        code=error.code, message=error.message[:ERROR_MESSAGE_CHARACTERS_MAX], hint=error.hint
    )


def read_attempt_failed(message: fleet.AttemptFailed) -> Failure:
    """Take a node's failure; a code we do not know is the node's own bug."""
    known = message.code in FailureCode.__members__.values()
    code = FailureCode(message.code) if known else FailureCode.INTERNAL_ERROR
    words = printable(message.message, ERROR_MESSAGE_CHARACTERS_MAX)
    return Failure(code, words, printable(message.hint, 200))


def failure_of(error: MeshError) -> Failure:
    """Return what the core calls an error of ours."""
    return Failure(FailureCode(error.code), error.message, error.hint)


def error_of(failure: Failure) -> MeshError:
    """Return the exception of the same name."""
    return ERROR_BY_CODE[failure.code](failure.message, hint=failure.hint)
