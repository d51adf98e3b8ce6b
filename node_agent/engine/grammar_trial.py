"""A process that compiles a grammar before the engine does: what ends or wedges it, harms nobody.

llguidance compiles by recursion in native code, so a chain of a thousand references overflows the
stack, and some numbers take it minutes and gigabytes. Here it has half of the engine's stack,
little memory and a second of processor time. One process serves until something goes wrong with it.

``python -m node_agent.engine.grammar_trial TOKENS`` reads grammars from its standard input, each
after its length in bytes, and answers each with a line: empty, or what is wrong with it.
"""

import math
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

from mesh.platforms.here import HERE

CPU_LIMIT_S = 1.0  # 128 tools take as long, one takes milliseconds (measured)
WALL_LIMIT_S = 5.0  # of a machine that has other things to do
_MEMORY_BYTES = 512 << 20
_STACK_BYTES = 4 << 20  # threads of an engine have 8 MB
_LENGTH_BYTES = 4
_PROGRAM = (sys.executable, "-P", "-m", "node_agent.engine.grammar_trial")
_TOO_MUCH = "it takes too much time, memory or depth to compile"


class GrammarTrial:
    """The engine's end. Belongs to one thread; the process is started when it is needed."""

    def __init__(self, vocabulary_size: int) -> None:
        """``vocabulary_size``: control tokens may be named by their ids."""
        self._vocabulary_size = vocabulary_size
        self._process: subprocess.Popen[bytes] | None = None
        self._end: Callable[[], object] = lambda: None  # ends that process, once

    def trouble(self, grammar: str) -> str:
        """Return why a grammar does not compile within the limits; "" if it does."""
        process = self._process or self._start()
        body = grammar.encode()
        answer = b""
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
            process.stdin.flush()
            answer = HERE.line_within(process.stdout, WALL_LIMIT_S)
        except OSError:
            pass  # it died while it read
        if not answer.endswith(b"\n"):
            self.close()
            return _TOO_MUCH
        return answer.decode(errors="replace").strip()

    def close(self) -> None:
        """End the process; the next check starts another one."""
        self._process = None
        self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [*_PROGRAM, str(self._vocabulary_size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._end = weakref.finalize(self, _end, self._process)
        return self._process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was written last and never read
                pipe.close()


class _Bytes:
    """A vocabulary as large as the model's, in which only bytes are known as tokens."""

    bos_token_id = None

    def __init__(self, size: int) -> None:
        self.tokens = [bytes((byte,)) for byte in range(256)] + [b""] * (size - 256)
        self.special_token_ids = [size - 1]
        self.eos_token_id = size - 1

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


def main(vocabulary_size: int) -> None:
    """Serve until standard input ends, as it does with the engine."""
    from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

    HERE.end_with_parent()
    tokenizer = LLTokenizer(TokenizerWrapper(_Bytes(max(257, vocabulary_size))))
    HERE.limit_trial(_MEMORY_BYTES, _STACK_BYTES)
    reading, writing = sys.stdin.buffer, sys.stdout.buffer
    while length := reading.read(_LENGTH_BYTES):
        grammar = reading.read(int.from_bytes(length, "big")).decode()
        began_s = time.process_time()
        HERE.limit_processor(math.ceil(began_s + CPU_LIMIT_S))
        matcher = LLMatcher(tokenizer, grammar, log_level=0)
        if not matcher.is_error():
            matcher.compute_bitmask()  # the first one makes what the others use
        reason = matcher.get_error() if matcher.is_error() else ""
        if not reason and time.process_time() - began_s > CPU_LIMIT_S:
            reason = _TOO_MUCH
        writing.write(" ".join(reason.split()).encode()[:200] + b"\n")
        writing.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
