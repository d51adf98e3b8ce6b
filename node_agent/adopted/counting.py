"""Counts of tokens by an engine's own tokenizer, where it documents a path for it.

- llama.cpp's server: ``/apply-template`` makes the prompt of messages, ``/tokenize`` its tokens
  (tools/server/README.md). Not a router, which would load the model for it.
- vLLM: ``/tokenize`` takes messages and tools as a chat does, and tells the count
  (vllm/entrypoints/serve/tokenize/protocol.py, TokenizeChatRequest).

The others have none. Only somebody's request to count goes there, never a look.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mesh.chat_api.checked import Json, read_count, read_list, read_text
from mesh.chat_api.openai_body import written
from mesh.core.chat import Message, Tool
from mesh.core.generation import Generation, Sampling
from mesh.errors import NodeLost, Unsupported
from mesh.wire.generations import write_generation
from node_agent.adopted.kinds import APPLY_TEMPLATE_PATH, TOKENIZE_PATH, Kind

Post = Callable[[str, Json], Awaitable[Json]]  # sends to a path, and returns the object it answers


async def tokens_of(
    post: Post, kind: Kind, model: str, messages: Sequence[Message], tools: Sequence[Tool]
) -> int:
    """Return how many tokens the model reads before it answers ``messages``.

    Raises:
        Unsupported: engines of this kind count none for others.
        MeshError: as ``post``, or what came is no count.
    """
    asked = _asked(messages, tools)
    match kind:
        case Kind.LLAMA_CPP:
            prompt = read_text(await post(APPLY_TEMPLATE_PATH, asked), "prompt")
            text = {"content": prompt, "add_special": True, "parse_special": True}
            tokens: int | None = len(read_list(await post(TOKENIZE_PATH, text), "tokens"))
        case Kind.VLLM:
            told = await post(TOKENIZE_PATH, {"model": model, **asked})
            tokens = read_count(told.get("count"))
        case _:
            raise Unsupported(
                f"{kind} counts no tokens for others", hint="ask a model that deskmesh runs itself"
            )
    if not tokens:
        raise NodeLost("the upstream sent a count that is none")
    return tokens


def _asked(messages: Sequence[Message], tools: Sequence[Tool]) -> dict[str, Any]:
    work = Generation(tuple(messages), Sampling(), 1, tools=tuple(tools))
    body = written(write_generation(work), sampling=False)
    return {name: body[name] for name in ("messages", "tools") if name in body}
