from mesh.v1 import inference_pb2 as _inference_pb2
from mesh.v1 import receipt_pb2 as _receipt_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RefusalReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSAL_REASON_UNSPECIFIED: _ClassVar[RefusalReason]
    REFUSAL_REASON_BUSY: _ClassVar[RefusalReason]
    REFUSAL_REASON_OWNER_BUSY: _ClassVar[RefusalReason]
    REFUSAL_REASON_DRAINING: _ClassVar[RefusalReason]
    REFUSAL_REASON_LOADING: _ClassVar[RefusalReason]
    REFUSAL_REASON_NO_MEMORY: _ClassVar[RefusalReason]
REFUSAL_REASON_UNSPECIFIED: RefusalReason
REFUSAL_REASON_BUSY: RefusalReason
REFUSAL_REASON_OWNER_BUSY: RefusalReason
REFUSAL_REASON_DRAINING: RefusalReason
REFUSAL_REASON_LOADING: RefusalReason
REFUSAL_REASON_NO_MEMORY: RefusalReason

class JoinRequest(_message.Message):
    __slots__ = ("secret", "signing_request_pem", "machine_name", "version", "role")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    SIGNING_REQUEST_PEM_FIELD_NUMBER: _ClassVar[int]
    MACHINE_NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    secret: bytes
    signing_request_pem: str
    machine_name: str
    version: str
    role: str
    def __init__(self, secret: _Optional[bytes] = ..., signing_request_pem: _Optional[str] = ..., machine_name: _Optional[str] = ..., version: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class JoinResponse(_message.Message):
    __slots__ = ("certificate_pem", "authority_pem", "mesh_id", "role", "coordinators", "join_addresses", "challenge")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_PEM_FIELD_NUMBER: _ClassVar[int]
    MESH_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    COORDINATORS_FIELD_NUMBER: _ClassVar[int]
    JOIN_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: str
    authority_pem: str
    mesh_id: str
    role: str
    coordinators: _containers.RepeatedScalarFieldContainer[str]
    join_addresses: _containers.RepeatedScalarFieldContainer[str]
    challenge: bytes
    def __init__(self, certificate_pem: _Optional[str] = ..., authority_pem: _Optional[str] = ..., mesh_id: _Optional[str] = ..., role: _Optional[str] = ..., coordinators: _Optional[_Iterable[str]] = ..., join_addresses: _Optional[_Iterable[str]] = ..., challenge: _Optional[bytes] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("signing_request_pem", "certificate_pem", "proof", "challenge")
    SIGNING_REQUEST_PEM_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    signing_request_pem: str
    certificate_pem: str
    proof: bytes
    challenge: bytes
    def __init__(self, signing_request_pem: _Optional[str] = ..., certificate_pem: _Optional[str] = ..., proof: _Optional[bytes] = ..., challenge: _Optional[bytes] = ...) -> None: ...

class NodeMessage(_message.Message):
    __slots__ = ("hello", "report", "refused", "pong", "leaving", "inventory", "drain")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    report: NodeReport
    refused: AttemptRefused
    pong: Pong
    leaving: Leaving
    inventory: InventoryChanged
    drain: DrainRequested
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., report: _Optional[_Union[NodeReport, _Mapping]] = ..., refused: _Optional[_Union[AttemptRefused, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., leaving: _Optional[_Union[Leaving, _Mapping]] = ..., inventory: _Optional[_Union[InventoryChanged, _Mapping]] = ..., drain: _Optional[_Union[DrainRequested, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("node_id", "machine", "protocol_min", "protocol_max", "offers", "site", "report")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MIN_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MAX_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    machine: MachineInfo
    protocol_min: int
    protocol_max: int
    offers: _containers.RepeatedCompositeFieldContainer[ModelOffer]
    site: str
    report: NodeReport
    def __init__(self, node_id: _Optional[str] = ..., machine: _Optional[_Union[MachineInfo, _Mapping]] = ..., protocol_min: _Optional[int] = ..., protocol_max: _Optional[int] = ..., offers: _Optional[_Iterable[_Union[ModelOffer, _Mapping]]] = ..., site: _Optional[str] = ..., report: _Optional[_Union[NodeReport, _Mapping]] = ...) -> None: ...

class MachineInfo(_message.Message):
    __slots__ = ("name", "platform", "cores", "memory_bytes", "version", "accelerators")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    CORES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ACCELERATORS_FIELD_NUMBER: _ClassVar[int]
    name: str
    platform: str
    cores: int
    memory_bytes: int
    version: str
    accelerators: _containers.RepeatedCompositeFieldContainer[Accelerator]
    def __init__(self, name: _Optional[str] = ..., platform: _Optional[str] = ..., cores: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., version: _Optional[str] = ..., accelerators: _Optional[_Iterable[_Union[Accelerator, _Mapping]]] = ...) -> None: ...

class Accelerator(_message.Message):
    __slots__ = ("name", "kind", "memory_bytes", "idle")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    IDLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    memory_bytes: int
    idle: bool
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., idle: bool = ...) -> None: ...

class ModelOffer(_message.Message):
    __slots__ = ("ordinal", "model", "context_tokens", "capabilities", "adapters", "engine", "off_host")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    OFF_HOST_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    model: _inference_pb2.ModelView
    context_tokens: int
    capabilities: _containers.RepeatedScalarFieldContainer[_inference_pb2.Capability]
    adapters: _containers.RepeatedScalarFieldContainer[str]
    engine: str
    off_host: bool
    def __init__(self, ordinal: _Optional[int] = ..., model: _Optional[_Union[_inference_pb2.ModelView, _Mapping]] = ..., context_tokens: _Optional[int] = ..., capabilities: _Optional[_Iterable[_Union[_inference_pb2.Capability, str]]] = ..., adapters: _Optional[_Iterable[str]] = ..., engine: _Optional[str] = ..., off_host: bool = ...) -> None: ...

class InventoryChanged(_message.Message):
    __slots__ = ("offers",)
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    offers: _containers.RepeatedCompositeFieldContainer[ModelOffer]
    def __init__(self, offers: _Optional[_Iterable[_Union[ModelOffer, _Mapping]]] = ...) -> None: ...

class NodeReport(_message.Message):
    __slots__ = ("epoch", "sequence", "replicas", "cpu_share", "memory_share", "memory_free_bytes", "on_battery", "owner_busy", "temperature_share", "battery_share", "files_unread")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    CPU_SHARE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_SHARE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ON_BATTERY_FIELD_NUMBER: _ClassVar[int]
    OWNER_BUSY_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_SHARE_FIELD_NUMBER: _ClassVar[int]
    BATTERY_SHARE_FIELD_NUMBER: _ClassVar[int]
    FILES_UNREAD_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    sequence: int
    replicas: _containers.RepeatedCompositeFieldContainer[ReplicaReport]
    cpu_share: float
    memory_share: float
    memory_free_bytes: int
    on_battery: bool
    owner_busy: bool
    temperature_share: float
    battery_share: float
    files_unread: int
    def __init__(self, epoch: _Optional[int] = ..., sequence: _Optional[int] = ..., replicas: _Optional[_Iterable[_Union[ReplicaReport, _Mapping]]] = ..., cpu_share: _Optional[float] = ..., memory_share: _Optional[float] = ..., memory_free_bytes: _Optional[int] = ..., on_battery: bool = ..., owner_busy: bool = ..., temperature_share: _Optional[float] = ..., battery_share: _Optional[float] = ..., files_unread: _Optional[int] = ...) -> None: ...

class ReplicaReport(_message.Message):
    __slots__ = ("ordinal", "state", "slots", "slots_taken", "prefill_tokens_per_s", "decode_tokens_per_s", "load_s", "reason", "numerics", "prefixes", "decode_rates_by_batch", "load_progress")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_TAKEN_FIELD_NUMBER: _ClassVar[int]
    PREFILL_TOKENS_PER_S_FIELD_NUMBER: _ClassVar[int]
    DECODE_TOKENS_PER_S_FIELD_NUMBER: _ClassVar[int]
    LOAD_S_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NUMERICS_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    DECODE_RATES_BY_BATCH_FIELD_NUMBER: _ClassVar[int]
    LOAD_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    state: _inference_pb2.ReplicaState
    slots: int
    slots_taken: int
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    load_s: float
    reason: str
    numerics: str
    prefixes: _containers.RepeatedCompositeFieldContainer[PrefixHeld]
    decode_rates_by_batch: _containers.RepeatedScalarFieldContainer[float]
    load_progress: float
    def __init__(self, ordinal: _Optional[int] = ..., state: _Optional[_Union[_inference_pb2.ReplicaState, str]] = ..., slots: _Optional[int] = ..., slots_taken: _Optional[int] = ..., prefill_tokens_per_s: _Optional[float] = ..., decode_tokens_per_s: _Optional[float] = ..., load_s: _Optional[float] = ..., reason: _Optional[str] = ..., numerics: _Optional[str] = ..., prefixes: _Optional[_Iterable[_Union[PrefixHeld, _Mapping]]] = ..., decode_rates_by_batch: _Optional[_Iterable[float]] = ..., load_progress: _Optional[float] = ...) -> None: ...

class PrefixHeld(_message.Message):
    __slots__ = ("block_hash", "tokens")
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    block_hash: int
    tokens: int
    def __init__(self, block_hash: _Optional[int] = ..., tokens: _Optional[int] = ...) -> None: ...

class AttemptRefused(_message.Message):
    __slots__ = ("epoch", "attempt_id", "reason", "retry_after_ms")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    attempt_id: int
    reason: RefusalReason
    retry_after_ms: int
    def __init__(self, epoch: _Optional[int] = ..., attempt_id: _Optional[int] = ..., reason: _Optional[_Union[RefusalReason, str]] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    def __init__(self, nonce: _Optional[int] = ...) -> None: ...

class Leaving(_message.Message):
    __slots__ = ("why",)
    class Why(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WHY_UNSPECIFIED: _ClassVar[Leaving.Why]
        WHY_SHUTDOWN: _ClassVar[Leaving.Why]
        WHY_SLEEP: _ClassVar[Leaving.Why]
        WHY_UPDATE: _ClassVar[Leaving.Why]
    WHY_UNSPECIFIED: Leaving.Why
    WHY_SHUTDOWN: Leaving.Why
    WHY_SLEEP: Leaving.Why
    WHY_UPDATE: Leaving.Why
    WHY_FIELD_NUMBER: _ClassVar[int]
    why: Leaving.Why
    def __init__(self, why: _Optional[_Union[Leaving.Why, str]] = ...) -> None: ...

class DrainRequested(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class CoordinatorMessage(_message.Message):
    __slots__ = ("welcome", "start", "cancel", "ping", "drain", "load", "unload", "renew")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    UNLOAD_FIELD_NUMBER: _ClassVar[int]
    RENEW_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    start: StartAttempt
    cancel: CancelAttempt
    ping: Ping
    drain: Drain
    load: LoadModel
    unload: UnloadModel
    renew: RenewNow
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., start: _Optional[_Union[StartAttempt, _Mapping]] = ..., cancel: _Optional[_Union[CancelAttempt, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., load: _Optional[_Union[LoadModel, _Mapping]] = ..., unload: _Optional[_Union[UnloadModel, _Mapping]] = ..., renew: _Optional[_Union[RenewNow, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("epoch", "coordinator_id", "protocol", "beat_every_ms", "coordinators")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COORDINATOR_ID_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    BEAT_EVERY_MS_FIELD_NUMBER: _ClassVar[int]
    COORDINATORS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    coordinator_id: str
    protocol: int
    beat_every_ms: int
    coordinators: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, epoch: _Optional[int] = ..., coordinator_id: _Optional[str] = ..., protocol: _Optional[int] = ..., beat_every_ms: _Optional[int] = ..., coordinators: _Optional[_Iterable[str]] = ...) -> None: ...

class StartAttempt(_message.Message):
    __slots__ = ("epoch", "attempt_id", "model_id", "request", "body_follows", "deadline_ms", "batch_interval_ms", "batch_tokens_max", "resume", "block_hashes", "signs")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    BODY_FOLLOWS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    BATCH_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    BATCH_TOKENS_MAX_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    BLOCK_HASHES_FIELD_NUMBER: _ClassVar[int]
    SIGNS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    attempt_id: int
    model_id: str
    request: _inference_pb2.GenerateRequest
    body_follows: bool
    deadline_ms: int
    batch_interval_ms: int
    batch_tokens_max: int
    resume: _inference_pb2.Resume
    block_hashes: _containers.RepeatedScalarFieldContainer[int]
    signs: bool
    def __init__(self, epoch: _Optional[int] = ..., attempt_id: _Optional[int] = ..., model_id: _Optional[str] = ..., request: _Optional[_Union[_inference_pb2.GenerateRequest, _Mapping]] = ..., body_follows: bool = ..., deadline_ms: _Optional[int] = ..., batch_interval_ms: _Optional[int] = ..., batch_tokens_max: _Optional[int] = ..., resume: _Optional[_Union[_inference_pb2.Resume, _Mapping]] = ..., block_hashes: _Optional[_Iterable[int]] = ..., signs: bool = ...) -> None: ...

class CancelAttempt(_message.Message):
    __slots__ = ("epoch", "attempt_id", "reason")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    attempt_id: int
    reason: str
    def __init__(self, epoch: _Optional[int] = ..., attempt_id: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    def __init__(self, nonce: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("reason", "resume")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    reason: str
    resume: bool
    def __init__(self, reason: _Optional[str] = ..., resume: bool = ...) -> None: ...

class LoadModel(_message.Message):
    __slots__ = ("model_id",)
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    def __init__(self, model_id: _Optional[str] = ...) -> None: ...

class UnloadModel(_message.Message):
    __slots__ = ("model_id",)
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    def __init__(self, model_id: _Optional[str] = ...) -> None: ...

class RenewNow(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeliverUp(_message.Message):
    __slots__ = ("opened", "started", "delta", "finished", "failed")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    opened: DeliverOpened
    started: _inference_pb2.GenerationStarted
    delta: _inference_pb2.GenerationDelta
    finished: _inference_pb2.GenerationFinished
    failed: AttemptFailed
    def __init__(self, opened: _Optional[_Union[DeliverOpened, _Mapping]] = ..., started: _Optional[_Union[_inference_pb2.GenerationStarted, _Mapping]] = ..., delta: _Optional[_Union[_inference_pb2.GenerationDelta, _Mapping]] = ..., finished: _Optional[_Union[_inference_pb2.GenerationFinished, _Mapping]] = ..., failed: _Optional[_Union[AttemptFailed, _Mapping]] = ...) -> None: ...

class DeliverOpened(_message.Message):
    __slots__ = ("epoch", "attempt_id")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    attempt_id: int
    def __init__(self, epoch: _Optional[int] = ..., attempt_id: _Optional[int] = ...) -> None: ...

class AttemptFailed(_message.Message):
    __slots__ = ("code", "message", "hint")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    hint: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class DeliverDown(_message.Message):
    __slots__ = ("body",)
    BODY_FIELD_NUMBER: _ClassVar[int]
    body: _inference_pb2.GenerateRequest
    def __init__(self, body: _Optional[_Union[_inference_pb2.GenerateRequest, _Mapping]] = ...) -> None: ...
