"""Enumerations, both ways, each as one table."""

from enum import Enum
from typing import TypeVar

from mesh.core.chat import Role
from mesh.core.types import (
    Capability,
    FinishReason,
    NodeState,
    Refusal,
    ReplicaState,
    Tier,
)
from mesh.errors import InvalidRequest
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations

CoreT = TypeVar("CoreT", bound=Enum)
WireT = TypeVar("WireT", bound=int)

ROLE = {
    inference.ROLE_SYSTEM: Role.SYSTEM,
    inference.ROLE_USER: Role.USER,
    inference.ROLE_ASSISTANT: Role.ASSISTANT,
    inference.ROLE_TOOL: Role.TOOL,
}
TIER = {
    inference.TIER_DEVICE: Tier.DEVICE,
    inference.TIER_MESH: Tier.MESH,
    inference.TIER_CLOUD: Tier.CLOUD,
}
REPLICA_STATE = {
    inference.REPLICA_STATE_AVAILABLE: ReplicaState.AVAILABLE,
    inference.REPLICA_STATE_LOADING: ReplicaState.LOADING,
    inference.REPLICA_STATE_WARM: ReplicaState.WARM,
    inference.REPLICA_STATE_FAILED: ReplicaState.FAILED,
}
CAPABILITY = {
    inference.CAPABILITY_RESUME: Capability.RESUME,
    inference.CAPABILITY_LOGPROBS: Capability.LOGPROBS,
    inference.CAPABILITY_GRAMMAR: Capability.GRAMMAR,
    inference.CAPABILITY_GBNF: Capability.GBNF,
    inference.CAPABILITY_TOOLS: Capability.TOOLS,
    inference.CAPABILITY_VISION: Capability.VISION,
    inference.CAPABILITY_EMBED: Capability.EMBED,
}
FINISH_REASON = {
    inference.FINISH_REASON_STOP: FinishReason.STOP,
    inference.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    inference.FINISH_REASON_TOOL_CALLS: FinishReason.TOOL_CALLS,
    inference.FINISH_REASON_CONTENT_FILTER: FinishReason.CONTENT_FILTER,
}
REFUSAL = {
    fleet.REFUSAL_REASON_BUSY: Refusal.BUSY,
    fleet.REFUSAL_REASON_OWNER_BUSY: Refusal.OWNER_BUSY,
    fleet.REFUSAL_REASON_DRAINING: Refusal.DRAINING,
    fleet.REFUSAL_REASON_LOADING: Refusal.LOADING,
    fleet.REFUSAL_REASON_NO_MEMORY: Refusal.NO_MEMORY,
}
NODE_STATE = {
    operations.NODE_STATE_ALIVE: NodeState.ALIVE,
    operations.NODE_STATE_SUSPECT: NodeState.SUSPECT,
    operations.NODE_STATE_LOST: NodeState.LOST,
    operations.NODE_STATE_ASLEEP: NodeState.ASLEEP,
    operations.NODE_STATE_DRAINING: NodeState.DRAINING,
}


def read(table: dict[WireT, CoreT], value: WireT, field: str) -> CoreT:
    """Translate a wire value.

    Raises:
        InvalidRequest: it is unspecified, or of a newer protocol.
    """
    known = table.get(value)
    if known is None:
        raise InvalidRequest(f"{field} has no value {value}")
    return known


def write(table: dict[WireT, CoreT], value: CoreT) -> WireT:
    return next(wire for wire, core in table.items() if core is value)
