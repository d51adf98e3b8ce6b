"""Short words for what happens to a fleet, so that a test reads as a script."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from mesh.core import events
from mesh.core.actions import Action, StartAttempt
from mesh.core.asked import NOT_ASSESSED, Assessment
from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.core.node import Node
from mesh.core.types import (
    Capability,
    Epoch,
    Failure,
    FailureCode,
    Load,
    Machine,
    Model,
    ModelId,
    ModelIdentity,
    NodeId,
    Offer,
    Policy,
    Refusal,
    ReplicaState,
    ReplicaStatus,
    Request,
    RequestKey,
    Tier,
    Usage,
    no_hashes,
)

OneAction = TypeVar("OneAction", bound=Action)

RESET = Failure(FailureCode.NODE_LOST, "connection reset")


def a_model(
    name: str, *also: str, parameters: int = 135_000_000, digit: str = "", test: bool = False
) -> Model:
    """A model whose weights are known by ``digit``: other digits are other weights."""
    weights = (digit or format(sum(name.encode()), "x")) * 64
    return Model(
        identity=ModelIdentity(weights[:64], "b" * 64, "Q8_0"),
        names=(name, *also),
        architecture="llama",
        parameters=parameters,
        size_bytes=parameters,
        context_tokens=8192,
        test=test,
    )


LLAMA = a_model("llama")
QWEN = a_model("qwen")


def key(request_id: str) -> RequestKey:
    return RequestKey("ann", request_id)


def a_machine(name: str, cores: int = 8) -> Machine:
    return Machine(name, "Linux x86_64", cores, memory_bytes=16 << 30, version="0.1.0")


def warm(
    slots: int = 1, slots_taken: int = 0, *, prefill: float = 500.0, decode: float = 50.0
) -> ReplicaStatus:
    """A warm replica that has measured its rates, in tokens/s."""
    return ReplicaStatus(
        state=ReplicaState.WARM,
        slots=slots,
        slots_taken=slots_taken,
        prefill_tokens_per_s=prefill,
        decode_tokens_per_s=decode,
    )


def of_type(actions: Iterable[Action], kind: type[OneAction]) -> list[OneAction]:
    return [action for action in actions if isinstance(action, kind)]


def only(actions: Iterable[Action], kind: type[OneAction]) -> OneAction:
    """The one action of its kind; there must be exactly one."""
    found = of_type(actions, kind)
    assert len(found) == 1, f"expected one {kind.__name__} in {list(actions)}"
    return found[0]


def kinds(actions: Iterable[Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


@dataclass
class Script:
    """A fleet and its time. Each word is one event; it returns the actions that follow."""

    limits: FleetLimits = field(default_factory=FleetLimits)
    seed: int = 0
    now_s: float = 100.0

    def __post_init__(self) -> None:
        self.fleet = Fleet(self.limits, Random(self.seed))
        self._connections = 0
        self._deliveries = 0
        self._sequences: dict[tuple[str, Epoch], int] = {}

    def happens(self, event: events.Event) -> list[Action]:
        """Its owner is awake: whatever fell due before is handled first, at its time."""
        actions: list[Action] = []
        while (due_s := self.fleet.next_due_s) is not None and due_s < self.now_s:
            actions += self.fleet.handle(events.TimePassed(), due_s)
        return actions + self.fleet.handle(event, self.now_s)

    def after(self, seconds: float) -> list[Action]:
        """Let time pass, and whatever is due with it."""
        self.now_s += seconds
        return self.happens(events.TimePassed())

    def stall(self, seconds: float) -> list[Action]:
        """Its owner is away meanwhile, and is told the time when it comes back."""
        self.now_s += seconds
        return self.fleet.handle(events.TimePassed(), self.now_s)

    def node(self, name: str) -> Node:
        return self.fleet.directory.nodes[NodeId(name)]

    # -- nodes -------------------------------------------------------------------------------------

    def attach(
        self,
        name: str,
        *models: Model,
        slots: int = 1,
        slots_taken: int = 0,
        status: ReplicaStatus | None = None,
        context_tokens: int = 4096,
        capabilities: Iterable[Capability] = (),
        load: Load | None = None,
        on_coordinator_host: bool = False,
        cores: int = 8,
        engine: str = "",
        off_host: bool = False,
    ) -> list[Action]:
        """A node joins; its id is its name, its replicas are warm."""
        able = frozenset(capabilities)
        self._connections += 1
        stands = status if status is not None else warm(slots, slots_taken)
        return self.happens(
            events.NodeAttached(
                connection_id=self._connections,
                node_id=NodeId(name),
                machine=a_machine(name, cores),
                offers=tuple(Offer(m, context_tokens, able, engine, off_host) for m in models),
                statuses=tuple((model.model_id, stands) for model in models),
                load=load if load is not None else Load(),
                on_coordinator_host=on_coordinator_host,
            )
        )

    def report(
        self,
        name: str,
        *statuses: tuple[Model, ReplicaStatus],
        owner_busy: bool = False,
        epoch: Epoch | None = None,
        sequence: int | None = None,
        load: Load | None = None,
    ) -> list[Action]:
        """A beat, in the node's epoch and with its next number unless told otherwise."""
        if epoch is None:
            epoch = self.node(name).epoch
        if sequence is None:
            sequence = self._sequences.get((name, epoch), 0) + 1
        self._sequences[name, epoch] = sequence
        changed = tuple((model.model_id, status) for model, status in statuses)
        load = load if load is not None else Load(owner_busy=owner_busy)
        return self.happens(events.NodeReported(NodeId(name), epoch, sequence, changed, load))

    def drain(self, name: str, reason: str = "for repair", **more: bool) -> list[Action]:
        return self.happens(events.NodeDrained(NodeId(name), reason, **more))

    def leave(self, name: str, *, asleep: bool = False) -> list[Action]:
        return self.happens(events.NodeLeft(NodeId(name), self.node(name).epoch, asleep))

    def lose(self, name: str, reason: str = "connection reset") -> list[Action]:
        """The node's control stream breaks."""
        connection_id = self.node(name).connection_id
        return self.happens(events.ConnectionLost(connection_id, NodeId(name), reason))

    # -- requests ----------------------------------------------------------------------------------

    def ask(
        self,
        request_id: str,
        model: str = "llama",
        *,
        tier: Tier = Tier.MESH,
        policy: Policy = Policy.BALANCED,
        prompt_bytes: int = 400,
        max_tokens: int = 100,
        within_s: float = 60.0,
        needs: Iterable[Capability] = (),
        from_coordinator_host: bool = False,
        explain: bool = False,
        principal: str = "ann",
        block_hashes: Callable[[ModelId], Sequence[int]] = no_hashes,
        assessment: Assessment = NOT_ASSESSED,
        session: str = "",
        hold_tokens: int = 0,
        resumed_tokens: int = 0,
        accept_substitute: bool = False,
        accept_restart: bool = False,
    ) -> list[Action]:
        return self.happens(
            events.RequestArrived(
                Request(
                    key=RequestKey(principal, request_id),
                    model=model,
                    tier=tier,
                    policy=policy,
                    prompt_bytes=prompt_bytes,
                    max_tokens=max_tokens,
                    deadline_s=self.now_s + within_s,
                    needs=frozenset(needs),
                    from_coordinator_host=from_coordinator_host,
                    explain=explain,
                    block_hashes=block_hashes,
                    assessment=assessment,
                    session=session,
                    hold_tokens=hold_tokens,
                    resumed_tokens=resumed_tokens,
                    accept_substitute=accept_substitute,
                    accept_restart=accept_restart,
                )
            )
        )

    def begin(self, request_id: str, model: str = "llama") -> StartAttempt:
        """A request comes and a node begins it: delivery opened, prompt accepted, no token yet."""
        return self.accept(only(self.ask(request_id, model), StartAttempt))

    def accept(
        self, start: StartAttempt, *, numerics: str = "numerics", resumable: bool = False
    ) -> StartAttempt:
        """The node that was told opens its answer stream and accepts the prompt."""
        self.open(start)
        self.say_started(start, numerics=numerics, resumable=resumable)
        return start

    def say_started(
        self, start: StartAttempt, *, numerics: str = "numerics", resumable: bool = False
    ) -> list[Action]:
        told = events.AttemptStarted(start.attempt_id, 100, numerics, "started", resumable)
        return self.happens(told)

    def stream(self, request_id: str, tokens: int = 3, *, resumable: bool = False) -> StartAttempt:
        """A request comes, a node begins it, and the client has seen some tokens."""
        start = self.accept(only(self.ask(request_id), StartAttempt), resumable=resumable)
        self.progress(start, 0, tokens)
        return start

    def cancel(self, request_id: str) -> list[Action]:
        return self.happens(events.RequestCancelled(key(request_id), "the client left"))

    # -- attempts ----------------------------------------------------------------------------------

    def open(self, start: StartAttempt, epoch: Epoch | None = None) -> list[Action]:
        self._deliveries += 1
        epoch = start.epoch if epoch is None else epoch
        return self.happens(events.DeliveryOpened(start.attempt_id, epoch, self._deliveries))

    def progress(self, start: StartAttempt, offset: int, count: int) -> list[Action]:
        payload = f"tokens {offset} to {offset + count}"
        return self.happens(events.AttemptProgressed(start.attempt_id, offset, count, payload))

    def finish(self, start: StartAttempt, tokens: int = 3) -> list[Action]:
        usage = Usage(prompt_tokens=100, completion_tokens=tokens)
        return self.happens(events.AttemptFinished(start.attempt_id, usage, "finished"))

    def fail(self, start: StartAttempt, failure: Failure = RESET) -> list[Action]:
        return self.happens(events.AttemptFailed(start.attempt_id, failure))

    def refuse(self, start: StartAttempt, refusal: Refusal = Refusal.BUSY) -> list[Action]:
        return self.happens(events.AttemptRefused(start.attempt_id, start.epoch, refusal))
