"""Requests: what a client asks, checked where it enters the mesh."""

import re
from collections.abc import Mapping, Sequence

from mesh.core.asked import NOT_ASSESSED, Assessment
from mesh.core.generation import LOGPROBS_MAX
from mesh.core.policies import POLICY_NAME, in_words
from mesh.core.policies import policies as all_policies
from mesh.core.types import AUTO, Capability, Policy, Request, RequestKey, Tier
from mesh.errors import InvalidRequest, Unsupported
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.origin import check_name, read_origin
from mesh.wire.sampling import read_sampling

MESSAGES_MAX = 4096  # a long agent session has hundreds
PARTS_MAX = (
    16384  # of all messages; counted before they are read: 32 MB hold millions of empty ones
)
TOOL_CALLS_MAX = 4096  # of all messages: an agent's session has one for each of its turns
RESUME_IDS_MAX = 1 << 20  # as many as the longest context holds
SESSION_CHARACTERS_MAX = 128
TOOLS_MAX = 128  # as OpenAI allows
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
IMAGES_MAX = (
    64  # of all messages: each is hundreds of tokens, and 64 fill what a desk's models hold
)
IMAGE_BYTES_MAX = 20 * 1024 * 1024  # as OpenAI's; a photograph has 5 MB
# What an image counts as in a prompt's bytes: 256 tokens, the least that models make of one
# (Gemma 3), at the most bytes that a token may have. So routing expects 512 tokens at the usual
# four, and rules nobody out who could take it.
IMAGE_AS_BYTES = 2048
MEDIA_TYPE = re.compile(r"image/(png|jpeg|webp|gif)")  # what those take that see
STOP_STRINGS_MAX = 16  # each is matched against every token
STOP_BYTES_MAX = 256
NAME_CHARACTERS_MAX = 256  # of a model; Hugging Face's longest are about 100
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
POLICY_CHARACTERS_MAX = 40
BUILT_IN_POLICIES = all_policies()
HOLD_TOKENS_MAX = 1024  # an answer is held in memory meanwhile; by then its worth is plain
DEADLINE_DEFAULT_S = 600.0  # a long answer from a slow desk
DEADLINE_MAX_S = 24 * 3600.0


def read_request(  # noqa: PLR0913 - a request, and what its door knows of it
    message: inference.GenerateRequest,
    *,
    principal: str,
    now_s: float,
    remaining_s: float | None = None,
    from_coordinator_host: bool,
    tier: Tier = Tier.MESH,
    policies: Mapping[str, Policy] | None = None,
) -> Request:
    """Check a client's request and return the features that routing sees.

    Args:
        remaining_s: what the transport allows, if it sets a limit.
        tier: how far the prompt may travel if the request does not say.
        policies: those there are, by name; None where nothing depends on it, and only the
            coordinator knows its operator's.

    Raises:
        InvalidRequest: a field is missing, malformed or out of range; names it.
        Unsupported: a field asks for what no engine here can do yet.
    """
    if not REQUEST_ID.fullmatch(message.request_id):
        raise InvalidRequest(
            "request_id must be 1 to 64 characters of [A-Za-z0-9._:-]",
            hint="make one per request, such as a UUID",
        )
    check_name("model", message.model, NAME_CHARACTERS_MAX)
    check_name("resume.model_id", message.resume.model_id, NAME_CHARACTERS_MAX)
    check_name("session", message.session, SESSION_CHARACTERS_MAX)
    check_name("domain", message.domain)
    check_generation(message)  # what any engine would refuse is refused here, before it travels
    given_s = message.deadline_ms / 1000 if message.deadline_ms else DEADLINE_DEFAULT_S
    if remaining_s is not None:
        given_s = remaining_s if not message.deadline_ms else min(given_s, remaining_s)
    return Request(
        key=RequestKey(principal, message.request_id),
        model=message.resume.model_id or message.model or AUTO,  # a resume never changes it
        tier=enums.read(enums.TIER, message.tier, "tier") if message.tier else tier,
        policy=_policy(message.policy, policies),
        prompt_bytes=_prompt_bytes(message),
        max_tokens=message.max_tokens,
        deadline_s=now_s + min(given_s, DEADLINE_MAX_S),
        needs=_needs(message),
        session=message.session,
        from_coordinator_host=from_coordinator_host,
        explain=message.explain,
        resumed_tokens=len(message.resume.emitted_ids),
        origin=read_origin(message.origin),
        assessment=Assessment(domain=message.domain) if message.domain else NOT_ASSESSED,
        hold_tokens=min(message.hold_tokens, HOLD_TOKENS_MAX),
        cost_microusd_max=message.cost_microusd_max,
        accept_substitute=message.accept_substitute,
        accept_restart=message.accept_restart,
    )


def check_generation(message: inference.GenerateRequest) -> None:
    """Check all that an answer is made from, whoever makes it.

    Raises:
        InvalidRequest, Unsupported: as ``read_request``.
    """
    stop = message.stop
    if len(stop) > STOP_STRINGS_MAX:
        raise InvalidRequest(
            f"stop has {len(stop)} strings; at most {STOP_STRINGS_MAX} are allowed"
        )
    if any(not 0 < len(string.encode()) <= STOP_BYTES_MAX for string in stop):
        raise InvalidRequest(f"each stop string must have 1 to {STOP_BYTES_MAX} bytes")
    if message.HasField("logprobs") and message.logprobs > LOGPROBS_MAX:
        raise InvalidRequest(f"logprobs is {message.logprobs}; at most {LOGPROBS_MAX} are allowed")
    resumed = len(message.resume.prompt_ids) + len(message.resume.emitted_ids)
    if resumed > RESUME_IDS_MAX:
        raise InvalidRequest(f"resume has {resumed} ids; at most {RESUME_IDS_MAX} are allowed")
    if message.adapters:
        raise Unsupported("adapters are not supported by any engine here yet")
    _check_messages(message.messages)
    _check_tools(message.tools)
    read_sampling(message.sampling)


def _check_messages(messages: Sequence[inference.Message]) -> None:
    if not messages:
        raise InvalidRequest("messages is empty", hint="send at least one message")
    if len(messages) > MESSAGES_MAX:
        raise InvalidRequest(f"{len(messages)} messages; at most {MESSAGES_MAX} are allowed")
    parts = sum(len(message.parts) for message in messages)
    if parts > PARTS_MAX:
        raise InvalidRequest(f"messages have {parts} parts; at most {PARTS_MAX} are allowed")
    calls = sum(len(message.tool_calls) for message in messages)
    if calls > TOOL_CALLS_MAX:
        raise InvalidRequest(
            f"messages have {calls} tool calls; at most {TOOL_CALLS_MAX} are allowed"
        )
    for index, message in enumerate(messages):
        enums.read(enums.ROLE, message.role, f"messages[{index}].role")
    _check_images(messages)
    if not any(_says_something(each) for each in messages if each.role != inference.ROLE_SYSTEM):
        raise InvalidRequest("the prompt is empty", hint="say what you want in a message")


def _check_images(messages: Sequence[inference.Message]) -> None:
    images = 0
    for index, message in enumerate(messages):
        for image in (part.image for part in message.parts if part.HasField("image")):
            images += 1
            if not MEDIA_TYPE.fullmatch(image.media_type):
                raise InvalidRequest(
                    f"messages[{index}] holds an image without a media type that is known",
                    hint="say image/png, image/jpeg, image/webp or image/gif",
                )
            if not 0 < len(image.data) <= IMAGE_BYTES_MAX:
                raise InvalidRequest(
                    f"messages[{index}] holds an image of {len(image.data)} bytes",
                    hint=f"send 1 to {IMAGE_BYTES_MAX} bytes",
                )
    if images > IMAGES_MAX:
        raise InvalidRequest(f"messages hold {images} images; at most {IMAGES_MAX} are allowed")


def _says_something(message: inference.Message) -> bool:
    return bool(message.tool_calls) or any(
        part.text.strip() or part.HasField("image") for part in message.parts
    )


def _check_tools(tools: Sequence[inference.Tool]) -> None:
    if len(tools) > TOOLS_MAX:
        raise InvalidRequest(f"{len(tools)} tools; at most {TOOLS_MAX} are allowed")
    for tool in tools:
        if not TOOL_NAME.fullmatch(tool.name):
            raise InvalidRequest("a tool's name must be 1 to 64 characters of [A-Za-z0-9_-]")


def _prompt_bytes(message: inference.GenerateRequest) -> int:
    """All that the model reads: of the messages, and of the tools that it may call."""
    parts = [part for each in message.messages for part in each.parts]
    spoken = sum(len(part.text.encode()) for part in parts)
    spoken += IMAGE_AS_BYTES * sum(part.HasField("image") for part in parts)
    tools = sum(len(tool.description) + len(tool.parameters_json) for tool in message.tools)
    calls = sum(len(c.arguments_json) for each in message.messages for c in each.tool_calls)
    return spoken + tools + calls


def _policy(value: str, known: Mapping[str, Policy] | None) -> Policy:
    name = value[:POLICY_CHARACTERS_MAX] or Policy.BALANCED.name
    policy = (known or BUILT_IN_POLICIES).get(name)
    if policy is not None:
        return policy
    if known is None and POLICY_NAME.fullmatch(name):
        return Policy(name)
    raise InvalidRequest(
        f"policy {name!r} is unknown", hint=in_words(name, known or BUILT_IN_POLICIES)
    )


def _needs(message: inference.GenerateRequest) -> frozenset[Capability]:
    told = [each for each in message.messages if each.tool_calls or each.tool_call_id]
    images = any(part.HasField("image") for each in message.messages for part in each.parts)
    form = message.response_format.WhichOneof("format")
    asked = {
        Capability.TOOLS: bool(message.tools or told),
        Capability.VISION: images,
        Capability.LOGPROBS: message.HasField("logprobs"),
        Capability.GRAMMAR: form not in (None, "text"),
        Capability.GBNF: form == "grammar",
        Capability.RESUME: message.HasField("resume"),
    }
    return frozenset(capability for capability, needed in asked.items() if needed)
