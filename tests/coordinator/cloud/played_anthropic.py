"""What an upstream that speaks Anthropic's API says, for ``PlayedUpstream`` to say it."""

import json
from typing import Any

from tests.coordinator.cloud.played_upstream import Asked

Told = dict[str, Any]


async def say(asked: Asked, *events: Told) -> None:
    """Send events as the API does: each with its type as its name too."""
    for event in events:
        named = f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n"
        await asked.send(named.encode())


def start(**usage: int) -> Told:
    """``message_start``; what it says of the answer's tokens is a first guess."""
    counted = {"input_tokens": 10, "output_tokens": 1, **usage}
    return {"type": "message_start", "message": {"role": "assistant", "usage": counted}}


def block(index: int, kind: str = "text", **more: object) -> Told:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **more}}


def part(index: int, kind: str, **more: object) -> Told:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def text(words: str, index: int = 0) -> Told:
    return part(index, "text_delta", text=words)


def stop(index: int = 0) -> Told:
    return {"type": "content_block_stop", "index": index}


def end(reason: object = "end_turn", **usage: object) -> Told:
    counted = {"output_tokens": 2, **usage}
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": counted}


PING: Told = {"type": "ping"}
LAST: Told = {"type": "message_stop"}


def error(kind: str, words: str = "") -> Told:
    return {"type": "error", "error": {"type": kind, "message": words}}


async def closes(asked: Asked) -> None:
    """End the body."""
    await asked.raw(b"0\r\n\r\n")


async def hello(asked: Asked) -> None:
    await asked.begin()
    await say(asked, start(), block(0, text=""), PING, text("hel"), text("lo"), stop())
    await say(asked, end(), LAST)
    await closes(asked)


async def refuse(asked: Asked, status: int, kind: str, words: str = "", more: str = "") -> None:
    """Refuse as the API does: the error and its type, in an object of type error."""
    body = json.dumps({**error(kind, words), "request_id": "req_1"}).encode()
    head = f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n{more}"
    await asked.raw(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
