from mesh.v1 import inference_pb2 as _inference_pb2
from mesh.v1 import receipt_pb2 as _receipt_pb2
from mesh.v1 import fleet_pb2 as _fleet_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NodeState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_STATE_UNSPECIFIED: _ClassVar[NodeState]
    NODE_STATE_ALIVE: _ClassVar[NodeState]
    NODE_STATE_SUSPECT: _ClassVar[NodeState]
    NODE_STATE_LOST: _ClassVar[NodeState]
    NODE_STATE_ASLEEP: _ClassVar[NodeState]
    NODE_STATE_DRAINING: _ClassVar[NodeState]
NODE_STATE_UNSPECIFIED: NodeState
NODE_STATE_ALIVE: NodeState
NODE_STATE_SUSPECT: NodeState
NODE_STATE_LOST: NodeState
NODE_STATE_ASLEEP: NodeState
NODE_STATE_DRAINING: NodeState

class GetMeshRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MeshView(_message.Message):
    __slots__ = ("mesh_id", "coordinator", "nodes", "requests_running", "requests_waiting", "requests_total")
    MESH_ID_FIELD_NUMBER: _ClassVar[int]
    COORDINATOR_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_WAITING_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    mesh_id: str
    coordinator: CoordinatorView
    nodes: _containers.RepeatedCompositeFieldContainer[NodeView]
    requests_running: int
    requests_waiting: int
    requests_total: int
    def __init__(self, mesh_id: _Optional[str] = ..., coordinator: _Optional[_Union[CoordinatorView, _Mapping]] = ..., nodes: _Optional[_Iterable[_Union[NodeView, _Mapping]]] = ..., requests_running: _Optional[int] = ..., requests_waiting: _Optional[int] = ..., requests_total: _Optional[int] = ...) -> None: ...

class CoordinatorView(_message.Message):
    __slots__ = ("coordinator_id", "name", "version", "uptime_s", "addresses")
    COORDINATOR_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    coordinator_id: str
    name: str
    version: str
    uptime_s: float
    addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, coordinator_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., uptime_s: _Optional[float] = ..., addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class NodeView(_message.Message):
    __slots__ = ("node_id", "machine", "state", "reason", "state_for_s", "reported_ago_s", "rtt_ms", "cpu_share", "memory_share", "on_battery", "owner_busy", "attempts_running", "models", "address", "files_unread")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_FOR_S_FIELD_NUMBER: _ClassVar[int]
    REPORTED_AGO_S_FIELD_NUMBER: _ClassVar[int]
    RTT_MS_FIELD_NUMBER: _ClassVar[int]
    CPU_SHARE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_SHARE_FIELD_NUMBER: _ClassVar[int]
    ON_BATTERY_FIELD_NUMBER: _ClassVar[int]
    OWNER_BUSY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FILES_UNREAD_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    machine: _fleet_pb2.MachineInfo
    state: NodeState
    reason: str
    state_for_s: float
    reported_ago_s: float
    rtt_ms: float
    cpu_share: float
    memory_share: float
    on_battery: bool
    owner_busy: bool
    attempts_running: int
    models: _containers.RepeatedCompositeFieldContainer[_inference_pb2.ModelView]
    address: str
    files_unread: int
    def __init__(self, node_id: _Optional[str] = ..., machine: _Optional[_Union[_fleet_pb2.MachineInfo, _Mapping]] = ..., state: _Optional[_Union[NodeState, str]] = ..., reason: _Optional[str] = ..., state_for_s: _Optional[float] = ..., reported_ago_s: _Optional[float] = ..., rtt_ms: _Optional[float] = ..., cpu_share: _Optional[float] = ..., memory_share: _Optional[float] = ..., on_battery: bool = ..., owner_busy: bool = ..., attempts_running: _Optional[int] = ..., models: _Optional[_Iterable[_Union[_inference_pb2.ModelView, _Mapping]]] = ..., address: _Optional[str] = ..., files_unread: _Optional[int] = ...) -> None: ...

class InviteRequest(_message.Message):
    __slots__ = ("role", "name")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    role: str
    name: str
    def __init__(self, role: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class InviteResponse(_message.Message):
    __slots__ = ("code", "expires_in_s")
    CODE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_S_FIELD_NUMBER: _ClassVar[int]
    code: str
    expires_in_s: int
    def __init__(self, code: _Optional[str] = ..., expires_in_s: _Optional[int] = ...) -> None: ...

class DrainNodeRequest(_message.Message):
    __slots__ = ("node_id", "reason", "resume")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    reason: str
    resume: bool
    def __init__(self, node_id: _Optional[str] = ..., reason: _Optional[str] = ..., resume: bool = ...) -> None: ...

class RevokeRequest(_message.Message):
    __slots__ = ("fingerprint", "reason")
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    reason: str
    def __init__(self, fingerprint: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
