from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Tier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIER_UNSPECIFIED: _ClassVar[Tier]
    TIER_DEVICE: _ClassVar[Tier]
    TIER_MESH: _ClassVar[Tier]
    TIER_CLOUD: _ClassVar[Tier]
TIER_UNSPECIFIED: Tier
TIER_DEVICE: Tier
TIER_MESH: Tier
TIER_CLOUD: Tier

class Usage(_message.Message):
    __slots__ = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "estimated")
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    estimated: bool
    def __init__(self, prompt_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., reasoning_tokens: _Optional[int] = ..., estimated: bool = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("request_id", "coordinator", "asked_model", "tier", "policy", "ladder", "attempts", "candidates", "ruled_out", "why", "queued_s", "predicted_first_token_s", "first_token_s", "first_visible_token_s", "total_s", "tokens_per_s", "cost_microusd", "counterfactual_microusd", "saved_microusd", "baseline_model", "price_version", "energy_microwatthours", "test_model", "numerics_changed_at_token", "notes")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COORDINATOR_FIELD_NUMBER: _ClassVar[int]
    ASKED_MODEL_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    LADDER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    RULED_OUT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    QUEUED_S_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIRST_TOKEN_S_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKEN_S_FIELD_NUMBER: _ClassVar[int]
    FIRST_VISIBLE_TOKEN_S_FIELD_NUMBER: _ClassVar[int]
    TOTAL_S_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_S_FIELD_NUMBER: _ClassVar[int]
    COST_MICROUSD_FIELD_NUMBER: _ClassVar[int]
    COUNTERFACTUAL_MICROUSD_FIELD_NUMBER: _ClassVar[int]
    SAVED_MICROUSD_FIELD_NUMBER: _ClassVar[int]
    BASELINE_MODEL_FIELD_NUMBER: _ClassVar[int]
    PRICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENERGY_MICROWATTHOURS_FIELD_NUMBER: _ClassVar[int]
    TEST_MODEL_FIELD_NUMBER: _ClassVar[int]
    NUMERICS_CHANGED_AT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    coordinator: str
    asked_model: str
    tier: Tier
    policy: str
    ladder: _containers.RepeatedCompositeFieldContainer[Rung]
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    candidates: _containers.RepeatedCompositeFieldContainer[CandidateView]
    ruled_out: _containers.RepeatedCompositeFieldContainer[RuledOut]
    why: str
    queued_s: float
    predicted_first_token_s: float
    first_token_s: float
    first_visible_token_s: float
    total_s: float
    tokens_per_s: float
    cost_microusd: int
    counterfactual_microusd: int
    saved_microusd: int
    baseline_model: str
    price_version: str
    energy_microwatthours: int
    test_model: bool
    numerics_changed_at_token: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., coordinator: _Optional[str] = ..., asked_model: _Optional[str] = ..., tier: _Optional[_Union[Tier, str]] = ..., policy: _Optional[str] = ..., ladder: _Optional[_Iterable[_Union[Rung, _Mapping]]] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., candidates: _Optional[_Iterable[_Union[CandidateView, _Mapping]]] = ..., ruled_out: _Optional[_Iterable[_Union[RuledOut, _Mapping]]] = ..., why: _Optional[str] = ..., queued_s: _Optional[float] = ..., predicted_first_token_s: _Optional[float] = ..., first_token_s: _Optional[float] = ..., first_visible_token_s: _Optional[float] = ..., total_s: _Optional[float] = ..., tokens_per_s: _Optional[float] = ..., cost_microusd: _Optional[int] = ..., counterfactual_microusd: _Optional[int] = ..., saved_microusd: _Optional[int] = ..., baseline_model: _Optional[str] = ..., price_version: _Optional[str] = ..., energy_microwatthours: _Optional[int] = ..., test_model: bool = ..., numerics_changed_at_token: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class Rung(_message.Message):
    __slots__ = ("model_id", "model_name", "p_ok", "confidence", "threshold", "expected_cost_microusd", "removed_by", "chosen", "standing")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    P_OK_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_COST_MICROUSD_FIELD_NUMBER: _ClassVar[int]
    REMOVED_BY_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    model_name: str
    p_ok: float
    confidence: float
    threshold: float
    expected_cost_microusd: int
    removed_by: str
    chosen: bool
    standing: str
    def __init__(self, model_id: _Optional[str] = ..., model_name: _Optional[str] = ..., p_ok: _Optional[float] = ..., confidence: _Optional[float] = ..., threshold: _Optional[float] = ..., expected_cost_microusd: _Optional[int] = ..., removed_by: _Optional[str] = ..., chosen: bool = ..., standing: _Optional[str] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("attempt_id", "node_id", "node_name", "model_id", "model_name", "outcome", "reason", "predicted_first_token_s", "first_token_s", "duration_s", "usage", "cost_microusd", "hedge", "numerics", "tier", "accepted_s", "engine")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIRST_TOKEN_S_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKEN_S_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_MICROUSD_FIELD_NUMBER: _ClassVar[int]
    HEDGE_FIELD_NUMBER: _ClassVar[int]
    NUMERICS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_S_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    attempt_id: int
    node_id: str
    node_name: str
    model_id: str
    model_name: str
    outcome: str
    reason: str
    predicted_first_token_s: float
    first_token_s: float
    duration_s: float
    usage: Usage
    cost_microusd: int
    hedge: bool
    numerics: str
    tier: Tier
    accepted_s: float
    engine: str
    def __init__(self, attempt_id: _Optional[int] = ..., node_id: _Optional[str] = ..., node_name: _Optional[str] = ..., model_id: _Optional[str] = ..., model_name: _Optional[str] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., predicted_first_token_s: _Optional[float] = ..., first_token_s: _Optional[float] = ..., duration_s: _Optional[float] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., cost_microusd: _Optional[int] = ..., hedge: bool = ..., numerics: _Optional[str] = ..., tier: _Optional[_Union[Tier, str]] = ..., accepted_s: _Optional[float] = ..., engine: _Optional[str] = ...) -> None: ...

class CandidateView(_message.Message):
    __slots__ = ("node_id", "node_name", "model_id", "model_name", "predicted_first_token_s", "predicted_completion_s", "cost", "reason")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIRST_TOKEN_S_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_COMPLETION_S_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    node_name: str
    model_id: str
    model_name: str
    predicted_first_token_s: float
    predicted_completion_s: float
    cost: float
    reason: str
    def __init__(self, node_id: _Optional[str] = ..., node_name: _Optional[str] = ..., model_id: _Optional[str] = ..., model_name: _Optional[str] = ..., predicted_first_token_s: _Optional[float] = ..., predicted_completion_s: _Optional[float] = ..., cost: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class RuledOut(_message.Message):
    __slots__ = ("node_id", "node_name", "reason")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    node_name: str
    reason: str
    def __init__(self, node_id: _Optional[str] = ..., node_name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
