"""Messages as frames' bodies, and their strict decoding: the other side is not trusted.

Decoded by hand rather than by pydantic: the engine process uses this module too, and should not pay
for the import (25 MB, a third of its start) to read two messages.
"""

from dataclasses import asdict

from mesh.core.generation import Delta, Finished, GenerationEvent, Started
from mesh.core.signs import TokenSign, pack_signs, unpack_signs
from mesh.core.types import PREFIXES_MAX, Capability, FinishReason, PrefixHeld, Usage
from mesh.errors import (
    ContextOverflow,
    InternalError,
    InvalidRequest,
    MeshError,
    NodeLost,
    Unsupported,
)
from node_agent.engine.fields import Fields
from node_agent.engine.frames import FrameError
from node_agent.engine.gpu_layers import OFF_MAX, OFF_MIN
from node_agent.engine.logprob_fields import decode_logprobs, encode_logprob
from node_agent.engine.messages import (
    Cancel,
    Cancelled,
    Complaint,
    CountTokens,
    Embed,
    Embedded,
    EmbeddingEnded,
    Failed,
    FromEngine,
    Generate,
    Loaded,
    Loading,
    LoadRefused,
    Prefixes,
    Produced,
    Save,
    Saved,
    ToEngine,
    TokensCounted,
)
from node_agent.engine.vector_fields import decode_vector, encode_vector
from node_agent.engine.work_fields import UNSIGNED_64_MAX, decode_tool_calls, decode_work

ASKED = frozenset({"generate", "count_tokens", "embed"})  # types of what is answered by number

# What an engine process may say went wrong with a request. Anything else it sends is not believed.
_ERRORS: dict[str, type[MeshError]] = {
    "invalid_request": InvalidRequest,
    "context_overflow": ContextOverflow,
    "unsupported": Unsupported,
    "engine_failed": NodeLost,
    "internal": InternalError,
}
_NAME_OF_ERROR = {error: name for name, error in _ERRORS.items()}


def encode(  # noqa: PLR0912 - an arm for each message
    message: ToEngine | FromEngine,
) -> dict[str, object]:
    """Return ``message`` as a frame's body."""
    match message:
        case Generate(request, work):
            return {"type": "generate", "request": request, "work": asdict(work)}
        case CountTokens(request, work):
            return {"type": "count_tokens", "request": request, "work": asdict(work)}
        case Embed(request, texts):
            return {"type": "embed", "request": request, "texts": texts}
        case Cancel(request):
            return {"type": "cancel", "request": request}
        case Loading(progress):
            return {"type": "loading", "progress": progress}
        case Save():
            return {"type": "save"}
        case Loaded():
            capabilities = sorted(message.capabilities)
            return {"type": "loaded", **asdict(message), "capabilities": capabilities}
        case LoadRefused(reason, hint):
            return {"type": "load_refused", "reason": reason, "hint": hint}
        case Produced(request, event):
            return {"request": request, **_encode_event(event)}
        case TokensCounted(request, tokens):
            return {"type": "tokens_counted", "request": request, "tokens": tokens}
        case Embedded(request, vectors):
            written = list(map(encode_vector, vectors))
            return {"type": "embedded", "request": request, "vectors": written}
        case EmbeddingEnded():
            return {"type": "embedding_ended", **asdict(message)}
        case Failed(request, error):
            name = _NAME_OF_ERROR.get(type(error), "internal")
            words = {"message": error.message, "hint": error.hint}
            return {"type": "failed", "request": request, "error": name, **words}
        case Cancelled(request):
            return {"type": "cancelled", "request": request}
        case Prefixes(held):
            hashes = [each.block_hash for each in held]
            return {
                "type": "prefixes",
                "hashes": hashes,
                "tokens": [each.tokens for each in held],
            }
        case Saved():
            return {"type": "saved"}
        case Complaint(words):
            return {"type": "complaint", "words": words}


def decode_to_engine(body: dict[str, object]) -> ToEngine:
    """Return the agent's message.

    Raises:
        FrameError: it is none, or a field is missing, of a wrong type or out of range.
    """
    fields = Fields(body)
    match fields.text("type"):
        case "generate":
            return Generate(fields.count("request"), decode_work(fields.inner("work")))
        case "count_tokens":
            return CountTokens(fields.count("request"), decode_work(fields.inner("work")))
        case "embed":
            return Embed(fields.count("request"), fields.texts("texts"))
        case "cancel":
            return Cancel(fields.count("request"))
        case "save":
            return Save()
    raise FrameError("a frame is of no known type")


def decode_from_engine(  # noqa: PLR0912 - an arm for each message
    body: dict[str, object],
) -> FromEngine:
    """Return the engine's message; trusts nothing in it.

    Raises:
        FrameError: it is none, or a field is missing, of a wrong type or out of range.
    """
    fields = Fields(body)
    match fields.text("type"):
        case "delta":
            return Produced(fields.count("request"), _decode_delta(fields))
        case "started":
            return Produced(fields.count("request"), _decode_started(fields))
        case "finished":
            return Produced(fields.count("request"), _decode_finished(fields))
        case "tokens_counted":
            return TokensCounted(fields.count("request"), fields.count("tokens"))
        case "embedded":
            vectors = map(decode_vector, fields.texts("vectors"))
            return Embedded(fields.count("request"), tuple(vectors))
        case "embedding_ended":
            return EmbeddingEnded(fields.count("request"), fields.count("prompt_tokens"))
        case "failed":
            error = _ERRORS.get(fields.text("error"), InternalError)
            words = error(fields.line("message"), hint=fields.line("hint"))
            return Failed(fields.count("request"), words)
        case "cancelled":
            return Cancelled(fields.count("request"))
        case "loading":
            return Loading(min(1.0, fields.number("progress")))
        case "loaded":
            return _decode_loaded(fields)
        case "load_refused":
            return LoadRefused(fields.line("reason"), fields.line("hint"))
        case "prefixes":
            return _decode_prefixes(fields)
        case "saved":
            return Saved()
        case "complaint":
            return Complaint(fields.line("words"))
    raise FrameError("a frame is of no known type")


def _encode_event(event: GenerationEvent) -> dict[str, object]:
    match event:
        case Delta(token_offset, ids, text, logprobs, reasoning, tool_calls, signs):
            counted = {"token_offset": token_offset, "ids": ids, "signs": pack_signs(signs).hex()}
            said = {
                "text": text,
                "reasoning": reasoning,
                "tool_calls": list(map(asdict, tool_calls)),
            }
            told = [encode_logprob(each) for each in logprobs]
            return {"type": "delta", **counted, **said, "logprobs": told}
        case Started():
            return {"type": "started", **asdict(event)}
        case Finished():
            return {"type": "finished", **asdict(event)}


def _decode_delta(fields: Fields) -> Delta:
    ids = fields.ids("ids")
    return Delta(
        token_offset=fields.count("token_offset"),
        ids=ids,
        text=fields.text("text"),
        reasoning=fields.text("reasoning"),
        tool_calls=decode_tool_calls(fields),
        logprobs=decode_logprobs(fields.inners("logprobs")),
        signs=_decode_signs(fields.text("signs"), len(ids)),
    )


def _decode_signs(written: str, count: int) -> tuple[TokenSign, ...]:
    try:
        signs = unpack_signs(bytes.fromhex(written), count)
    except ValueError:
        signs = None
    if signs is None:
        raise FrameError("field signs does not tell how sure the model was of its tokens")
    return signs


def _decode_started(fields: Fields) -> Started:
    return Started(
        prompt_ids=fields.ids("prompt_ids"),
        cached_tokens=fields.count("cached_tokens"),
        context_tokens=fields.count("context_tokens"),
        numerics=fields.line("numerics"),
    )


def _decode_finished(fields: Fields) -> Finished:
    usage = fields.inner("usage")
    return Finished(
        reason=FinishReason(fields.choice("reason", FinishReason)),
        usage=Usage(
            prompt_tokens=usage.count("prompt_tokens"),
            cached_tokens=usage.count("cached_tokens"),
            completion_tokens=usage.count("completion_tokens"),
            reasoning_tokens=usage.count("reasoning_tokens"),
        ),
        prefill_s=fields.number("prefill_s"),
        decode_s=fields.number("decode_s"),
    )


def _decode_prefixes(fields: Fields) -> Prefixes:
    hashes, tokens = fields.ids("hashes", most=UNSIGNED_64_MAX), fields.ids("tokens")
    if not len(hashes) == len(tokens) <= PREFIXES_MAX:
        raise FrameError("it tells of too many prefixes, or not of each one's tokens")
    return Prefixes(tuple(map(PrefixHeld, hashes, tokens)))


def _decode_loaded(fields: Fields) -> Loaded:
    known = {str(capability): capability for capability in Capability}
    names = fields.texts("capabilities")
    return Loaded(
        context_tokens=fields.count("context_tokens"),
        slots=fields.count("slots"),
        capabilities=frozenset(known[name] for name in names if name in known),
        numerics=fields.line("numerics"),
        gpu_layers=fields.count("gpu_layers"),
        gpu_off=min(OFF_MAX, max(OFF_MIN, fields.number("gpu_off"))),
    )
