"""The words of the mesh, each defined once. Pure data: frozen, slotted, standard library only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NewType

from mesh.core.asked import NO_ORIGIN, NOT_ASSESSED, Assessment, Origin
from mesh.core.policies import Policy as Policy  # noqa: PLC0414 - one of the words, defined there

NodeId = NewType("NodeId", str)  # fingerprint of the node's public key
ModelId = NewType("ModelId", str)  # identity of weights, see ModelIdentity.model_id
AttemptId = NewType("AttemptId", int)  # issued by the coordinator, never used twice
Epoch = NewType("Epoch", int)  # issued by the coordinator at each attach; later is larger

AUTO = "auto"  # the model name that lets the mesh choose
CLOUD = "cloud"  # the model name that asks for whichever cloud model there is
CLOUD_NODE = NodeId("")  # stands for an upstream where a node's id would be


class Tier(IntEnum):
    """How far a prompt may travel, or did travel. Ordered: a larger tier reaches further."""

    DEVICE = 1  # never leaves the machine it was typed on
    MESH = 2
    CLOUD = 3


class ReplicaState(StrEnum):
    """How near a model on a node is to its first token."""

    AVAILABLE = "available"  # on disk
    LOADING = "loading"
    WARM = "warm"
    FAILED = "failed"  # this machine's engine could not load it


class Capability(StrEnum):
    """What a replica can do beyond plain text generation."""

    RESUME = "resume"
    LOGPROBS = "logprobs"
    GRAMMAR = "grammar"  # an answer of a form: JSON, or of a JSON schema
    GBNF = "gbnf"  # beside GRAMMAR: of a grammar that the caller wrote
    TOOLS = "tools"
    VISION = "vision"
    EMBED = "embed"


class Refusal(StrEnum):
    """Why a node that was asked did not begin. Not a failure: it may serve the next one."""

    BUSY = "busy"  # the slot was taken in the meantime
    OWNER_BUSY = "owner_busy"
    DRAINING = "draining"
    LOADING = "loading"
    NO_MEMORY = "no_memory"


class NodeState(StrEnum):
    """How far a node can be relied on."""

    ALIVE = "alive"
    SUSPECT = "suspect"  # silent for three beats: nothing new goes there
    LOST = "lost"
    ASLEEP = "asleep"  # it said so; its return is expected
    DRAINING = "draining"  # nothing new; what runs may finish


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"  # the model ended its turn, or a stop string matched
    LENGTH = "length"  # max_tokens or the context was reached
    TOOL_CALLS = "tool_calls"  # the model wants its tools called
    CONTENT_FILTER = "content_filter"  # an upstream withheld the rest


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights these are. Names are aliases; this is not."""

    sha256: str  # of the GGUF file, 64 hex digits
    template_sha256: str  # of the chat template, 64 hex digits, "" without one
    quantisation: str  # as GGUF names it, such as "Q8_0"

    @property
    def model_id(self) -> ModelId:
        """A short, stable key: 16 hex digits of the weights, 8 of the template."""
        return ModelId(f"{self.sha256[:16]}-{self.template_sha256[:8] or 'none'}")


@dataclass(frozen=True, slots=True)
class Model:
    """A model as its files describe it."""

    identity: ModelIdentity
    names: tuple[str, ...]  # aliases, the first one is shown
    architecture: str
    parameters: int
    size_bytes: int
    context_tokens: int  # that the weights were trained for
    test: bool = False  # a test bench, never chosen while a real model is there
    tasks: tuple[str, ...] = ()  # what a test model knows
    examples: tuple[str, ...] = ()  # one prompt for each of the tasks
    domains: tuple[str, ...] = ()  # what its file says it is a specialist of, in lower case
    # Kept: a ladder asks for it several times a model, and making it anew costs half a microsecond.
    model_id: ModelId = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "model_id", self.identity.model_id)

    @property
    def name(self) -> str:
        return self.names[0] if self.names else self.model_id


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that a node has on disk, and how it would serve it."""

    model: Model
    context_tokens: int  # that one slot will serve
    capabilities: frozenset[Capability] = frozenset()
    engine: str = ""  # that runs it and is not ours, such as "Ollama 0.9.6"; "": the node's own
    off_host: bool = False  # that engine is on another machine: no prompt of tier DEVICE goes there

    @property
    def embeds(self) -> bool:
        """A model turns text into vectors or writes text, never both."""
        return Capability.EMBED in self.capabilities


def engine_at(node_id: NodeId, model_id: ModelId) -> NodeId:
    """Stands for a node's adopted engine of a model where a request keeps who failed it."""
    return NodeId(f"{node_id}/{model_id}")


@dataclass(frozen=True, slots=True)
class CloudModel:
    """A model that an upstream serves for money. Reached only by requests of tier CLOUD."""

    name: str  # as the mesh calls it; no two models have the same one
    upstream: str  # whose it is, for people
    capabilities: frozenset[Capability] = frozenset()
    context_tokens: int = 0  # of prompt and answer together; 0: unknown
    # What it costs, rounded up; None: nobody knows, and its gate refuses. For weighing models
    # against each other: what a call did cost is the gate's to say.
    input_microusd_per_million_tokens: int | None = None
    output_microusd_per_million_tokens: int | None = None
    equals: str = ""  # the group of models that the operator holds equal to it; "": none
    share: float = 1.0  # its weight in that group
    model_id: ModelId = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "model_id", ModelId(f"cloud:{self.name}"))


PREFIXES_MAX = 64  # told of one replica: a kilobyte of a report that may come four times a second


@dataclass(frozen=True, slots=True)
class PrefixHeld:
    """The beginning of a prompt, as a node still holds it."""

    block_hash: int  # of the last block in it, see ``mesh.core.blocks``
    tokens: int  # that need not be read again: an estimate, rounded down


BATCHES = (1, 2, 4, 8, 16)  # sequences worked on together, for which a node tells its rate


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """What changes about a replica, as the node last reported it."""

    state: ReplicaState = ReplicaState.AVAILABLE
    slots: int = 1
    slots_taken: int = 0
    prefill_tokens_per_s: float = 0.0  # measured by the node; 0: not yet
    decode_tokens_per_s: float = 0.0
    load_s: float = 0.0  # seconds the last load took; 0: never loaded
    reason: str = ""  # why it failed, for people
    numerics: str = ""  # fingerprint of whatever decides rounding; "" until loaded
    load_progress: float = 0.0  # [0, 1] while loading
    prefixes: tuple[PrefixHeld, ...] = ()  # at most PREFIXES_MAX, newest first
    decode_rates_by_batch: tuple[float, ...] = ()  # tokens/s of one sequence at BATCHES; 0: unknown


@dataclass(frozen=True, slots=True)
class Load:
    """How much of a machine is in use, shares in [0, 1]."""

    cpu: float = 0.0
    memory: float = 0.0
    memory_free_bytes: int = 0
    on_battery: bool = False
    battery: float = 0.0  # share charged; 0: there is none, or it is not known
    temperature: float = 0.0  # share of what the machine bears; 0: not known
    owner_busy: bool = False
    files_unread: int = 0  # model files found and not described yet; their models follow


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A GPU of a machine."""

    name: str
    kind: str  # what computes best on it, such as "cuda"
    memory_bytes: int = 0  # its own; 0: it shares the machine's, or does not tell
    idle: bool = False  # worth computing on, and the node's engine does not


@dataclass(frozen=True, slots=True)
class Machine:
    """What a node's machine is, fixed while it is attached."""

    name: str
    platform: str  # such as "Linux x86_64"
    cores: int
    memory_bytes: int
    version: str  # of deskmesh
    accelerators: tuple[Accelerator, ...] = ()  # the best first


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A request id, scoped to the principal that made it."""

    principal: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What may answer a request for AUTO: rungs of models of the mesh, in order."""

    rungs: tuple[tuple[ModelId, ...], ...]
    why: str = field(default="", compare=False)


def no_hashes(_: ModelId) -> Sequence[int]:
    """Of a prompt whose blocks nobody hashes."""
    return ()


@dataclass(frozen=True, slots=True)
class Request:
    """The features of a request that routing sees. Never the prompt itself."""

    key: RequestKey
    model: str  # a name, a model id, or AUTO
    tier: Tier
    policy: Policy
    prompt_bytes: int
    max_tokens: int
    deadline_s: float  # absolute, on the coordinator's monotonic clock
    needs: frozenset[Capability] = frozenset()
    session: str = ""
    from_coordinator_host: bool = False
    explain: bool = False  # the receipt says for every node why it could not
    resumed_tokens: int = 0  # of the answer that were given before it was cut
    origin: Origin = NO_ORIGIN
    assessment: Assessment = NOT_ASSESSED
    hold_tokens: int = 0  # of the answer, until its confidence is known; 0: the policy's
    cost_microusd_max: int = 0  # 0: the budget's
    accept_substitute: bool = False  # another model may answer, at least as capable
    accept_restart: bool = False  # an answer that nobody can go on with may begin anew
    plan: Plan | None = None  # of one for AUTO; None: any model may, in the policy's order
    # Of its prompt as a model gets it, see ``mesh.core.blocks``. Worked out when asked for.
    block_hashes: Callable[[ModelId], Sequence[int]] = field(
        default=no_hashes, repr=False, compare=False
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one attempt."""

    prompt_tokens: int = 0
    cached_tokens: int = 0  # a part of prompt_tokens
    completion_tokens: int = 0
    reasoning_tokens: int = 0  # a part of completion_tokens
    estimated: bool = False  # whoever answered did not tell
    cache_written_tokens: int = 0  # a part of prompt_tokens, kept upstream for later at a price


class FailureCode(StrEnum):
    """Why a request failed. ``mesh.errors`` has one exception for each, of the same name."""

    INVALID_REQUEST = "invalid_request"
    MODEL_NOT_FOUND = "model_not_found"
    CONTEXT_OVERFLOW = "context_overflow"
    UNSUPPORTED = "unsupported"
    CONTENT_REFUSED = "content_refused"
    REQUEST_EXISTS = "request_exists"
    FORBIDDEN = "forbidden"
    NODE_LOST = "node_lost"
    ANSWER_LOST = "answer_lost"
    NO_CAPABLE_NODE = "no_capable_node"
    OVERLOADED = "overloaded"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    INTERNAL_ERROR = "internal_error"

    @property
    def elsewhere(self) -> bool:
        """May another node succeed where this one failed?"""
        return self in _WORTH_ANOTHER_NODE


_WORTH_ANOTHER_NODE = frozenset(
    {FailureCode.NODE_LOST, FailureCode.INTERNAL_ERROR, FailureCode.OVERLOADED}
)


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, why, and what to do, for the client."""

    code: FailureCode
    message: str
    hint: str = ""
    retry_after_s: float = 0.0  # when the same request may fare better; 0: unknown
