"""The text of a prompt, for what looks at it where it enters the mesh: its newest part."""

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
