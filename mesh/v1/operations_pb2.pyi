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

class ListMembersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListMembersResponse(_message.Message):
    __slots__ = ("members",)
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[MemberView]
    def __init__(self, members: _Optional[_Iterable[_Union[MemberView, _Mapping]]] = ...) -> None: ...

class MemberView(_message.Message):
    __slots__ = ("fingerprint", "role", "name", "invited_as", "joined_at_s", "renewed_at_s", "revoked_at_s", "revoked_because")
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INVITED_AS_FIELD_NUMBER: _ClassVar[int]
    JOINED_AT_S_FIELD_NUMBER: _ClassVar[int]
    RENEWED_AT_S_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_S_FIELD_NUMBER: _ClassVar[int]
    REVOKED_BECAUSE_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    role: str
    name: str
    invited_as: str
    joined_at_s: float
    renewed_at_s: float
    revoked_at_s: float
    revoked_because: str
    def __init__(self, fingerprint: _Optional[str] = ..., role: _Optional[str] = ..., name: _Optional[str] = ..., invited_as: _Optional[str] = ..., joined_at_s: _Optional[float] = ..., renewed_at_s: _Optional[float] = ..., revoked_at_s: _Optional[float] = ..., revoked_because: _Optional[str] = ...) -> None: ...

class LedgerSummaryRequest(_message.Message):
    __slots__ = ("since_s",)
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    since_s: float
    def __init__(self, since_s: _Optional[float] = ...) -> None: ...

class LedgerSummary(_message.Message):
    __slots__ = ("since_s", "requests", "answered", "failed", "lost", "prompt_tokens", "completion_tokens", "cost_microusd", "places", "models", "rows_waiting", "trouble", "cancelled", "failures", "records_lost")
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_MICROUSD_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    ROWS_WAITING_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_LOST_FIELD_NUMBER: _ClassVar[int]
    since_s: float
    requests: int
    answered: int
    failed: int
    lost: int
    prompt_tokens: int
    completion_tokens: int
    cost_microusd: int
    places: _containers.RepeatedCompositeFieldContainer[LedgerShare]
    models: _containers.RepeatedCompositeFieldContainer[LedgerShare]
    rows_waiting: int
    trouble: str
    cancelled: int
    failures: _containers.RepeatedCompositeFieldContainer[LedgerShare]
    records_lost: int
    def __init__(self, since_s: _Optional[float] = ..., requests: _Optional[int] = ..., answered: _Optional[int] = ..., failed: _Optional[int] = ..., lost: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., cost_microusd: _Optional[int] = ..., places: _Optional[_Iterable[_Union[LedgerShare, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[LedgerShare, _Mapping]]] = ..., rows_waiting: _Optional[int] = ..., trouble: _Optional[str] = ..., cancelled: _Optional[int] = ..., failures: _Optional[_Iterable[_Union[LedgerShare, _Mapping]]] = ..., records_lost: _Optional[int] = ...) -> None: ...

class LedgerShare(_message.Message):
    __slots__ = ("name", "tier", "requests", "prompt_tokens", "completion_tokens", "cost_microusd")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_MICROUSD_FIELD_NUMBER: _ClassVar[int]
    name: str
    tier: _receipt_pb2.Tier
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_microusd: int
    def __init__(self, name: _Optional[str] = ..., tier: _Optional[_Union[_receipt_pb2.Tier, str]] = ..., requests: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., cost_microusd: _Optional[int] = ...) -> None: ...

class LedgerRequestsRequest(_message.Message):
    __slots__ = ("since_s", "limit", "state")
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    since_s: float
    limit: int
    state: str
    def __init__(self, since_s: _Optional[float] = ..., limit: _Optional[int] = ..., state: _Optional[str] = ...) -> None: ...

class LedgerRequestsResponse(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[LedgerRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[LedgerRequest, _Mapping]]] = ...) -> None: ...

class LedgerRequest(_message.Message):
    __slots__ = ("principal", "request_id", "state", "failure", "arrived_at_s", "total_s", "asked_model", "served_model", "place", "tier", "usage", "cost_microusd", "attempts", "why", "price_version")
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ARRIVED_AT_S_FIELD_NUMBER: _ClassVar[int]
    TOTAL_S_FIELD_NUMBER: _ClassVar[int]
    ASKED_MODEL_FIELD_NUMBER: _ClassVar[int]
    SERVED_MODEL_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_MICROUSD_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    PRICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    principal: str
    request_id: str
    state: str
    failure: str
    arrived_at_s: float
    total_s: float
    asked_model: str
    served_model: str
    place: str
    tier: _receipt_pb2.Tier
    usage: _receipt_pb2.Usage
    cost_microusd: int
    attempts: int
    why: str
    price_version: str
    def __init__(self, principal: _Optional[str] = ..., request_id: _Optional[str] = ..., state: _Optional[str] = ..., failure: _Optional[str] = ..., arrived_at_s: _Optional[float] = ..., total_s: _Optional[float] = ..., asked_model: _Optional[str] = ..., served_model: _Optional[str] = ..., place: _Optional[str] = ..., tier: _Optional[_Union[_receipt_pb2.Tier, str]] = ..., usage: _Optional[_Union[_receipt_pb2.Usage, _Mapping]] = ..., cost_microusd: _Optional[int] = ..., attempts: _Optional[int] = ..., why: _Optional[str] = ..., price_version: _Optional[str] = ...) -> None: ...

class ExplainRequestRequest(_message.Message):
    __slots__ = ("request_id", "principal")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    principal: str
    def __init__(self, request_id: _Optional[str] = ..., principal: _Optional[str] = ...) -> None: ...

class ExplainRequestResponse(_message.Message):
    __slots__ = ("receipt", "principal", "state", "failure", "arrived_ago_s")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ARRIVED_AGO_S_FIELD_NUMBER: _ClassVar[int]
    receipt: _receipt_pb2.Receipt
    principal: str
    state: str
    failure: str
    arrived_ago_s: float
    def __init__(self, receipt: _Optional[_Union[_receipt_pb2.Receipt, _Mapping]] = ..., principal: _Optional[str] = ..., state: _Optional[str] = ..., failure: _Optional[str] = ..., arrived_ago_s: _Optional[float] = ...) -> None: ...

class RouteExplanation(_message.Message):
    __slots__ = ("ladder", "rules", "why", "refused", "tier", "rules_known", "node_name")
    LADDER_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    RULES_KNOWN_FIELD_NUMBER: _ClassVar[int]
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    ladder: _containers.RepeatedCompositeFieldContainer[_receipt_pb2.Rung]
    rules: _containers.RepeatedCompositeFieldContainer[AppliedRule]
    why: str
    refused: str
    tier: _receipt_pb2.Tier
    rules_known: int
    node_name: str
    def __init__(self, ladder: _Optional[_Iterable[_Union[_receipt_pb2.Rung, _Mapping]]] = ..., rules: _Optional[_Iterable[_Union[AppliedRule, _Mapping]]] = ..., why: _Optional[str] = ..., refused: _Optional[str] = ..., tier: _Optional[_Union[_receipt_pb2.Tier, str]] = ..., rules_known: _Optional[int] = ..., node_name: _Optional[str] = ...) -> None: ...

class AppliedRule(_message.Message):
    __slots__ = ("rule", "effect", "words", "model_names")
    RULE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAMES_FIELD_NUMBER: _ClassVar[int]
    rule: str
    effect: str
    words: str
    model_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rule: _Optional[str] = ..., effect: _Optional[str] = ..., words: _Optional[str] = ..., model_names: _Optional[_Iterable[str]] = ...) -> None: ...

class ReplayRoutesRequest(_message.Message):
    __slots__ = ("policy", "since_s")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    policy: str
    since_s: float
    def __init__(self, policy: _Optional[str] = ..., since_s: _Optional[float] = ...) -> None: ...

class ReplayRoutesResponse(_message.Message):
    __slots__ = ("policy", "requests", "left_out", "other_first", "recorded", "replayed", "paid_microusd", "judged", "judged_score")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIRST_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    PAID_MICROUSD_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    JUDGED_SCORE_FIELD_NUMBER: _ClassVar[int]
    policy: str
    requests: int
    left_out: int
    other_first: int
    recorded: RouteTotals
    replayed: RouteTotals
    paid_microusd: int
    judged: int
    judged_score: float
    def __init__(self, policy: _Optional[str] = ..., requests: _Optional[int] = ..., left_out: _Optional[int] = ..., other_first: _Optional[int] = ..., recorded: _Optional[_Union[RouteTotals, _Mapping]] = ..., replayed: _Optional[_Union[RouteTotals, _Mapping]] = ..., paid_microusd: _Optional[int] = ..., judged: _Optional[int] = ..., judged_score: _Optional[float] = ...) -> None: ...

class RouteTotals(_message.Message):
    __slots__ = ("expected_cost_microusd", "expected_quality", "cloud_share", "first")
    EXPECTED_COST_MICROUSD_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_QUALITY_FIELD_NUMBER: _ClassVar[int]
    CLOUD_SHARE_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    expected_cost_microusd: float
    expected_quality: float
    cloud_share: float
    first: _containers.RepeatedCompositeFieldContainer[RouteShare]
    def __init__(self, expected_cost_microusd: _Optional[float] = ..., expected_quality: _Optional[float] = ..., cloud_share: _Optional[float] = ..., first: _Optional[_Iterable[_Union[RouteShare, _Mapping]]] = ...) -> None: ...

class RouteShare(_message.Message):
    __slots__ = ("model_name", "requests")
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    model_name: str
    requests: int
    def __init__(self, model_name: _Optional[str] = ..., requests: _Optional[int] = ...) -> None: ...

class BrowseRequest(_message.Message):
    __slots__ = ("path", "headers")
    PATH_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    path: str
    headers: _containers.RepeatedCompositeFieldContainer[BrowseHeader]
    def __init__(self, path: _Optional[str] = ..., headers: _Optional[_Iterable[_Union[BrowseHeader, _Mapping]]] = ...) -> None: ...

class BrowseHeader(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class BrowseResponse(_message.Message):
    __slots__ = ("status", "headers", "body")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    status: int
    headers: _containers.RepeatedCompositeFieldContainer[BrowseHeader]
    body: bytes
    def __init__(self, status: _Optional[int] = ..., headers: _Optional[_Iterable[_Union[BrowseHeader, _Mapping]]] = ..., body: _Optional[bytes] = ...) -> None: ...
