"""How many tokens a call may take, before and where nobody counts them."""

from mesh.core.types import Usage
from mesh.v1 import inference_pb2 as inference

# A tokenizer over bytes makes at most one token of each byte; names and marks come on top.
MESSAGE_TOKENS_MAX = 32  # role, separators, a tool call's frame
# Upstreams count an image by its tiles: 85 to 48,000 tokens, whatever its bytes.
IMAGE_TOKENS_MAX = 50_000
BYTES_PER_TOKEN = 3  # English has four, code three, Chinese two to three: rather too many tokens


def most(request: inference.GenerateRequest, max_tokens: int) -> Usage:
    """Return more tokens than the request can take, if the upstream keeps to ``max_tokens``."""
    frames = len(request.messages) + len(request.tools) + _calls(request)
    prompt_tokens = _text_bytes(request) + (frames + 1) * MESSAGE_TOKENS_MAX
    prompt_tokens += _images(request) * IMAGE_TOKENS_MAX
    return Usage(prompt_tokens, 0, max_tokens, estimated=True)


def likely_prompt_tokens(request: inference.GenerateRequest) -> int:
    """Return about how many tokens the prompt has."""
    return _tokens(_text_bytes(request)) + 4 * len(request.messages)


def likely(prompt_tokens: int, answer_bytes: int, chunks: int) -> Usage:
    """Return about what an answer took of which the upstream told nothing."""
    return Usage(prompt_tokens, 0, max(chunks, _tokens(answer_bytes)), estimated=True)


def _tokens(size_bytes: int) -> int:
    return -(-size_bytes // BYTES_PER_TOKEN)


def _text_bytes(request: inference.GenerateRequest) -> int:
    texts = [request.response_format.json_schema]
    for message in request.messages:
        texts += [part.text for part in message.parts]
        texts += [message.name, message.tool_call_id]
        for call in message.tool_calls:
            texts += [call.id, call.name, call.arguments_json]
    for tool in request.tools:
        texts += [tool.name, tool.description, tool.parameters_json]
    return sum(len(text.encode()) for text in texts)


def _calls(request: inference.GenerateRequest) -> int:
    return sum(len(message.tool_calls) for message in request.messages)


def _images(request: inference.GenerateRequest) -> int:
    return sum(part.HasField("image") for each in request.messages for part in each.parts)
