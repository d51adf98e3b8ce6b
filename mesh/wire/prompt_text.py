"""The text of a prompt, for what looks at it where it enters the mesh: its newest part."""

from collections.abc import Iterator

from mesh.v1 import inference_pb2 as inference


def newest_text(request: inference.GenerateRequest, characters_max: int) -> str:
    """Return what is said in a request, in its order, and of a long one the newest part.

    What a model thought in earlier turns is left out, as it is no part of what is asked. No more
    messages are looked at than it takes.
    """
    found: list[str] = []
    left = characters_max
    for message in reversed(request.messages):
        for part in reversed(message.parts):
            if text := part.text:
                found.append(text[-left:])
                left -= len(text) + 1
                if left <= 0:
                    return "\n".join(reversed(found))
    return "\n".join(reversed(found))


def question(request: inference.GenerateRequest, characters_max: int) -> str:
    """Return what was asked last: the text of the newest message of a user, of a long one both
    ends. That is what outcomes are of, and what a scorer has learned from."""
    for message in reversed(request.messages):
        if message.role == inference.ROLE_USER:
            text = "\n".join(part.text for part in message.parts if part.text)
            half = characters_max // 2
            return text if len(text) <= characters_max else f"{text[:half]}\n{text[-half:]}"
    return ""


def call_results(request: inference.GenerateRequest) -> Iterator[str]:
    """Yield the text of each tool result that came since the last answer, the newest first."""
    for message in reversed(request.messages):
        if message.role != inference.ROLE_TOOL:
            return
        yield "\n".join(part.text for part in message.parts if part.text)
