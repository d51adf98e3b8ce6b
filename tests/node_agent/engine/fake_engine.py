"""Pretends to be an engine process and misbehaves: ``fake_engine.py MISDEED``.

It imports nothing of the project: what it writes is what a taken-over process could write.
"""

import argparse
import base64
import json
import math
import os
import signal
import socket
import struct
import sys
import time

STARTED = {"prompt_ids": [1, 2], "cached_tokens": 0, "context_tokens": 64, "numerics": "f"}
USAGE = {"prompt_tokens": 2, "cached_tokens": 0, "completion_tokens": 1, "reasoning_tokens": 0}
FINISHED = {"reason": "stop", "usage": USAGE, "prefill_s": 0, "decode_s": 0}


def frame(body: object) -> bytes:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return struct.pack(">I", len(payload)) + payload


def loaded(**changes: object) -> bytes:
    honest = {"context_tokens": 64, "slots": 1, "capabilities": [], "numerics": "f"}
    on_gpus = {"gpu_layers": 0, "gpu_off": 1.0}
    return frame({"type": "loaded", **honest, **on_gpus, **changes})


def loading(progress: object) -> bytes:
    return frame({"type": "loading", "progress": progress})


def started(**changes: object) -> bytes:
    return frame({"type": "started", "request": 1, **STARTED, **changes})


def delta(
    offset: int,
    ids: list[int],
    text: str = "a",
    request: int = 1,
    logprobs: object = (),
    *,
    signs: str = "",
) -> bytes:
    body = {"request": request, "token_offset": offset, "ids": ids, "text": text}
    rest = {"reasoning": "", "tool_calls": [], "logprobs": logprobs, "signs": signs}
    return frame({"type": "delta", **body, **rest})


def finished(**changes: object) -> bytes:
    return frame({"type": "finished", "request": 1, **FINISHED, **changes})


# What is sent instead of "loaded".
AT_LOAD = {
    "absurd-length": b"\xff\xff\xff\xff",
    "http": b"HTTP/1.1 200 OK\r\n\r\n",
    "not-json": frame(b"\x80\x04pickle"),
    "a-list": frame([1, 2]),
    "unknown-type": frame({"type": "reboot"}),
    "no-type": frame({}),
    "wrong-type": loaded(context_tokens="64"),
    "context-too-long": loaded(context_tokens=65),
    "no-context": loaded(context_tokens=0),
    "million-slots": loaded(slots=10**6),
    "loaded-twice": loaded() + loaded(),
    "answer-unasked": started(),
    "loads-backwards": loading(-0.5),
    "loads-for-ever": loading(1e999),
    "loads-what-is-loaded": loaded() + loading(0.5),
}

# What is sent after "loaded", once a request for two tokens is there.
AT_WORK = {
    "garbage": b"\x00\x00\x00\x02xx",
    "delta-first": delta(0, [1]),
    "started-twice": started() + started(),
    "other-request": delta(0, [1], request=2),
    "gap": started() + delta(1, [1]),
    "repeated": started() + delta(0, [1]) + delta(0, [1]),
    "too-many": started() + delta(0, [1, 2, 3]),
    "too-much-text": started() + delta(0, [1], "x" * 2000),
    "endless-nothing": started() + delta(0, [], "") + delta(0, [], ""),
    "logprobs-unasked": started()
    + delta(0, [1], logprobs=[{"id": 1, "logprob": 0, "text": "a", "alternatives": []}]),
    "signs-unasked": started() + delta(0, [1], signs="800000000000000000"),
    "negative-id": started() + delta(0, [-1]),
    "prompt-too-long": started(prompt_ids=[1] * 64),
    "cached-too-much": started(cached_tokens=3),
    "finished-first": finished(),
    "wrong-usage": started() + finished(),
    "infinite-time": started() + delta(0, [1]) + finished(prefill_s=1e999),
    "after-the-end": started() + delta(0, [1]) + finished() + delta(1, [1]),
    "cancelled-unasked": started() + frame({"type": "cancelled", "request": 1}),
    "loads-again": loaded(),
}


def embedded(*vectors: bytes, request: int = 1) -> bytes:
    written = [base64.b64encode(vector).decode() for vector in vectors]
    return frame({"type": "embedded", "request": request, "vectors": written})


def embedding_ended(prompt_tokens: int = 4) -> bytes:
    return frame({"type": "embedding_ended", "request": 1, "prompt_tokens": prompt_tokens})


def counted(tokens: int = 4, request: int = 1) -> bytes:
    return frame({"type": "tokens_counted", "request": request, "tokens": tokens})


ONE = struct.pack("<f", 1.0)

# What an engine that embeds sends, once a request for the vectors of two texts is there.
AT_EMBEDDING = {
    "too-many-vectors": embedded(ONE, ONE, ONE),
    "too-few-vectors": embedded(ONE) + embedding_ended(),
    "of-two-widths": embedded(ONE) + embedded(ONE * 2),
    "vector-of-nothing": embedded(b"", ONE),
    "vector-cut-off": embedded(ONE + b"x"),
    "vector-of-no-number": embedded(struct.pack("<f", math.nan)),
    "vector-for-another": embedded(ONE, request=2),
    "too-few-tokens": embedded(ONE, ONE) + embedding_ended(1),
    "too-many-tokens": embedded(ONE, ONE) + embedding_ended(2 * 64 + 1),
    "writes-instead": started(),
    "counts-instead": counted(),
    "embedded-twice": embedded(ONE, ONE) + embedding_ended() * 2,
}

# The same, once a prompt is there to be counted.
AT_COUNTING = {
    "counts-for-another": counted(request=2),
    "counts-below-none": counted(-1),
    "embeds-instead": embedded(ONE),
    "writes-what-to-count": started(),
}


def serve(misdeed: str, pipe: socket.socket) -> None:
    """Commit ``misdeed``, then wait to be stopped."""
    if misdeed in AT_LOAD:
        pipe.sendall(AT_LOAD[misdeed])
    elif misdeed in AT_EMBEDDING:
        pipe.sendall(loaded(capabilities=["embed"]))
        pipe.recv(65536)
        pipe.sendall(AT_EMBEDDING[misdeed])
    elif misdeed in AT_COUNTING:
        pipe.sendall(loaded())
        pipe.recv(65536)
        pipe.sendall(AT_COUNTING[misdeed])
    elif misdeed == "mute":
        pass
    elif misdeed == "crawls":
        for step in range(8):  # in all longer than the test's patience, but never in one step
            pipe.sendall(loading(step / 8))
            time.sleep(0.3)
        pipe.sendall(loaded())
    elif misdeed == "stands-still":
        while True:
            pipe.sendall(loading(0.5))
            time.sleep(0.1)
    elif misdeed == "leaves":
        sys.stderr.write("Traceback\n  somewhere\nImportError: libgomp.so.1 is missing\n")
        sys.exit(3)
    else:
        pipe.sendall(loaded())
        pipe.recv(65536)
        misbehave_at_work(misdeed, pipe)
    time.sleep(600)


def misbehave_at_work(misdeed: str, pipe: socket.socket) -> None:
    match misdeed:
        case "hangs":
            pass
        case "ignores-cancel":
            pipe.sendall(started() + delta(0, [1]))
        case "closes-pipe":
            pipe.sendall(started() + delta(0, [1]))
            pipe.close()
        case "asserts":
            sys.stderr.write("a secret prompt\n/build/x/ggml.c:42: GGML_ASSERT(n > 0) failed\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGABRT)
        case "floods":
            while True:
                pipe.sendall(started() * 1000)
        case _:
            pipe.sendall(AT_WORK[misdeed])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("misdeed")
    parser.add_argument("--descriptor", type=int)
    options, _ = parser.parse_known_args()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(options.misdeed, socket.socket(fileno=options.descriptor))


if __name__ == "__main__":
    main()
