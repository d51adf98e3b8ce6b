"""The words for requests that end without an answer: what, why, what to do."""

from difflib import get_close_matches
from heapq import nsmallest

from mesh.core.admission import retry_after_s
from mesh.core.climb import Climb
from mesh.core.progress import Progress
from mesh.core.receipt import RuledOut
from mesh.core.routing import AllBusy
from mesh.core.types import (
    CLOUD,
    Capability,
    CloudModel,
    Failure,
    FailureCode,
    Request,
    RequestKey,
    Tier,
)

_NAMES_COMPARED_MAX = 64  # with a mistyped one: about 10 us each, while all others wait
_NAME_SHOWN_MAX = 80

# A node knows these of itself, of the request and of its clock. That the client left, that nobody
# can serve this or that its id was used before are not for a node to say: there, it has a bug.
_FOR_NODES_TO_SAY = frozenset(
    {
        FailureCode.INVALID_REQUEST,
        FailureCode.CONTEXT_OVERFLOW,
        FailureCode.UNSUPPORTED,
        FailureCode.NODE_LOST,
        FailureCode.OVERLOADED,
        FailureCode.DEADLINE_EXCEEDED,
        FailureCode.INTERNAL_ERROR,
    }
)
# An upstream may no longer have the model, or have a policy against what it is asked; and our gate
# before it forbids what must not leave.
_FOR_THE_CLOUD_TO_SAY = _FOR_NODES_TO_SAY | {
    FailureCode.MODEL_NOT_FOUND,
    FailureCode.FORBIDDEN,
    FailureCode.CONTENT_REFUSED,
}


def in_use(key: RequestKey) -> Failure:
    return Failure(
        FailureCode.REQUEST_EXISTS,
        f"request id {key.request_id} is in use",
        "make a new id for each request",
    )


def no_nodes() -> Failure:
    return Failure(
        FailureCode.NO_CAPABLE_NODE,
        "no machine is attached to this mesh",
        "if it has just started, ask again in a moment; else run `deskmesh node` on a machine",
    )


def unknown_model(name: str, names: list[str]) -> Failure:
    shown = name[:_NAME_SHOWN_MAX]
    if name == CLOUD:
        hint = "the operator has set up none; see docs/cloud.md"
        return Failure(FailureCode.MODEL_NOT_FOUND, "there is no cloud model here", hint)
    alike = nsmallest(_NAMES_COMPARED_MAX, names, key=lambda each: abs(len(each) - len(shown)))
    near = get_close_matches(shown, alike, n=1)
    if near:
        hint = f"did you mean {near[0]}?"
    elif names:
        hint = f"there is {', '.join(names[:5])}; see `deskmesh models list`"
    else:
        hint = "put a GGUF file into a model folder; see `deskmesh models list`"
    return Failure(FailureCode.MODEL_NOT_FOUND, f"no machine has a model named {shown!r}", hint)


def ruled_off(climb: Climb) -> Failure:
    """Rules and limits have taken every rung away."""
    told = "; ".join(f"{step.name}: {step.removed_by}" for step in climb.removed[:3])
    return Failure(
        FailureCode.FORBIDDEN,
        f"no model may answer this ({told})",
        "see which rule did what with `deskmesh route explain`",
    )


def nowhere(
    ruled_out: tuple[RuledOut, ...], nodes: int, *, too_long: bool, asleep: list[str]
) -> Failure:
    """None of the mesh's ``nodes`` can serve the request, now or soon.

    Args:
        too_long: it is the prompt that must change.
        asleep: names of those that could, once they wake.
    """
    reasons = [f"{each.node_name}: {each.reason}" for each in ruled_out[:3]]
    more = f" and {nodes - 3} more" if nodes > 3 else ""
    if too_long:
        return Failure(
            FailureCode.CONTEXT_OVERFLOW,
            f"the prompt is too long for every machine ({'; '.join(reasons)}{more})",
            "shorten the prompt, or ask a model with a longer context",
        )
    return Failure(
        FailureCode.NO_CAPABLE_NODE,
        f"no machine can serve this request ({'; '.join(reasons)}{more})",
        f"wake {asleep[0]}, or ask again when it is back"
        if asleep
        else "see `deskmesh status`, or ask with --explain",
    )


def queue_full(waiting_max: int, first_token_s: float = 0.0) -> Failure:
    after_s = retry_after_s(first_token_s)
    return Failure(
        FailureCode.OVERLOADED,
        f"every capable machine is busy and {waiting_max} requests wait already",
        f"try again in {after_s} s",
        after_s,
    )


def no_slot_in_time(progress: Progress, busy: AllBusy, now_s: float) -> Failure:
    """It would wait for longer than it has."""
    remaining_s = max(0.0, progress.request.deadline_s - now_s)
    after_s = retry_after_s(busy.first_token_s, remaining_s)
    return Failure(
        FailureCode.OVERLOADED,
        f"every capable machine is busy, and the first token is expected in "
        f"{busy.first_token_s:.3g} s, after the request's {remaining_s:.3g} s",
        f"try again in {after_s} s, or allow more time",
        after_s,
    )


def time_is_up(progress: Progress) -> Failure:
    given_s = max(0.0, progress.request.deadline_s - progress.arrived_s)
    if progress.attempt is None:
        doing = "waiting for a free machine"
    else:
        doing = f"{progress.attempt.candidate.node_name} was answering"
    return Failure(
        FailureCode.DEADLINE_EXCEEDED,
        f"the request's {given_s:.3g} s ran out while {doing}",
        "allow more time, or ask for fewer tokens",
    )


def no_attempts_left(progress: Progress) -> Failure:
    tried = "; ".join(f"{past.node_name}: {past.reason}" for past in progress.past[-3:])
    return Failure(
        FailureCode.OVERLOADED,
        f"{len(progress.past)} attempts did not begin ({tried})",
        "try again in a moment",
    )


def told_by(failure: Failure, *, in_cloud: bool) -> Failure:
    """Take a node's failure, or the cloud's, as far as either can know."""
    if failure.code in (_FOR_THE_CLOUD_TO_SAY if in_cloud else _FOR_NODES_TO_SAY):
        return failure
    return Failure(FailureCode.INTERNAL_ERROR, f"{failure.code}: {failure.message}", failure.hint)


def node_failed(node_name: str, failure: Failure, *, seen: bool) -> Failure:
    """The words for a client whose last hope a node was, or that has ``seen`` a part already."""
    if seen:
        message = f"{node_name} failed mid-answer: {failure.message}"
        return Failure(FailureCode.ANSWER_LOST, message, "ask again")
    hint = failure.hint or "ask again in a moment; see `deskmesh status`"
    message = f"{node_name} failed: {failure.message}"
    return Failure(failure.code, message, hint, failure.retry_after_s)


def not_for_the_cloud(model: CloudModel, request: Request) -> Failure:
    """Of a request that names an upstream's model, and may not leave the mesh."""
    if request.tier is Tier.CLOUD:
        return Failure(
            FailureCode.FORBIDDEN,
            f"{model.name} runs in the cloud, and policy {request.policy} keeps the prompt here",
            f"ask for {model.model_id}, which names the cloud, or with another policy",
        )
    within = request.tier.name.lower()
    return Failure(
        FailureCode.FORBIDDEN,
        f"{model.name} runs in the cloud, and this request may not leave its {within}",
        "ask with tier cloud, or for a model of the mesh",
    )


def cloud_lacks(model: CloudModel, needs: frozenset[Capability]) -> Failure:
    missing = ", ".join(sorted(needs - model.capabilities))
    return Failure(FailureCode.UNSUPPORTED, f"{model.name} in the cloud lacks {missing}")


def cloud_failed(instead_of: Failure, failure: Failure) -> Failure:
    """The words for a client that no machine could serve, and then the cloud could not either."""
    refused = failure.code is FailureCode.FORBIDDEN  # by our own gate, so the mesh is what failed
    return Failure(
        instead_of.code if refused else failure.code,
        f"{instead_of.message}; the cloud {'may' if refused else 'could'} not: {failure.message}",
        failure.hint or instead_of.hint,
        failure.retry_after_s,
    )


# Why a request waits that nothing can serve yet, for its receipt.
ANSWER_WAITS = "waited mid-answer for a machine that can go on with it"
MACHINE_RETURNS = "waited: its machine failed, and another was lost moments ago and may be back"
MACHINES_RETURN = "waited: machines were on their way back after the coordinator's restart"


def all_busy(busy: AllBusy) -> str:
    """Why a request waits, for its receipt."""
    return f"waited: every slot of {busy.replicas} capable replicas was taken"
