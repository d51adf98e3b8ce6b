"""The engine process: ``python -m node_agent.engine.worker``, started by ``supervisor`` only.

It loads one model and answers what comes through the socket it inherited. It ends when that socket
does, so no engine outlives its agent. One thread reads messages, the main one works: llama.cpp
releases the interpreter while it computes, so a cancellation is read at once.
"""

import argparse
import ctypes
import os
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

from mesh.errors import InternalError, MeshError, NodeLost
from node_agent.engine.abort import Aborted, AbortFlag
from node_agent.engine.capabilities import CAPABILITIES
from node_agent.engine.frames import FrameDecoder, FrameError, encode_frame
from node_agent.engine.inbox import Inbox
from node_agent.engine.llama import DecodeError, Llama, LoadError
from node_agent.engine.messages import (
    Cancelled,
    Failed,
    FromEngine,
    Generate,
    Loaded,
    LoadRefused,
    Produced,
    decode_to_engine,
    encode,
)
from node_agent.engine.sequence import answer
from node_agent.engine.template import ChatTemplate

_NICENESS = 5  # the machine's owner comes first
_READ_BYTES = 256 * 1024  # one read for all but the largest prompts
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Channel:
    """The socket to the agent. Ends the process when the agent is gone."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def send(self, message: FromEngine) -> None:
        """Send a message; blocks while the agent reads slower than we write."""
        try:
            self._socket.sendall(encode_frame(encode(message)))
        except OSError:
            os._exit(0)

    def read_into(self, inbox: Inbox) -> None:
        """Read until the agent closes the socket, then end the process, whatever it is doing."""
        decoder = FrameDecoder()
        try:
            while data := self._socket.recv(_READ_BYTES):
                for body in decoder.feed(data):
                    inbox.put(decode_to_engine(body))
        except (OSError, FrameError):
            os._exit(2)
        os._exit(0)


def main(arguments: Sequence[str]) -> int:
    """Load, then serve until the agent closes the socket."""
    _become_engine()
    options = _parser().parse_args(arguments)
    channel = Channel(options.descriptor)
    abort = AbortFlag()
    inbox = Inbox(abort)
    threading.Thread(target=channel.read_into, args=(inbox,), name="reader", daemon=True).start()
    try:
        llama = Llama(
            Path(options.model),
            context_tokens=options.context_tokens,
            threads=options.threads,
            abort=abort,
        )
    except LoadError as failure:
        channel.send(LoadRefused(str(failure), failure.hint))
        return 1
    template = ChatTemplate(llama.chat_template(), bos=llama.bos_text(), eos=llama.eos_text())
    channel.send(Loaded(llama.context_tokens, 1, CAPABILITIES, llama.numerics))
    while True:
        _serve(llama, template, inbox.take(), channel)


def _serve(llama: Llama, template: ChatTemplate, asked: Generate, channel: Channel) -> None:
    """Answer one request, whatever happens with exactly one last message."""
    try:
        for event in answer(llama, template, asked.work):
            channel.send(Produced(asked.request, event))
    except Aborted:
        channel.send(Cancelled(asked.request))
    except MeshError as failure:
        channel.send(Failed(asked.request, failure))
    except DecodeError as failure:
        channel.send(Failed(asked.request, NodeLost(str(failure))))
        raise SystemExit(1) from None  # its state can't be trusted: the agent loads it again
    except Exception as failure:  # a bug of ours ends the request, not the process
        channel.send(Failed(asked.request, InternalError(_whereabouts(failure))))


def _whereabouts(failure: Exception) -> str:
    """Return a failure's kind and place, not its words: they may quote a prompt."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return f"the engine failed with {type(failure).__name__} at {place}"


def _become_engine() -> None:
    """Step back behind the owner's work, leave no memory dump, and die with the agent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the agent: it decides
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold prompts, and weights besides
    if sys.platform == "linux":
        # The end of the socket does the same, but for a process that is too stuck to notice.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="node_agent.engine.worker")
    parser.add_argument("--descriptor", type=int, required=True, help="of the inherited socket")
    parser.add_argument("--model", required=True, help="path of the GGUF file")
    parser.add_argument("--context-tokens", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
