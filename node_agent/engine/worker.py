"""The engine process: ``python -m node_agent.engine.worker``, started by ``supervisor`` only.

It loads one model and answers what comes through the socket it inherited. It ends when that socket
does, so no engine outlives its agent. One thread reads messages, the main one makes prompts of
them, and one works the model: llama.cpp releases the interpreter while it computes, so a
cancellation is read at once.
"""

import argparse
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from mesh.errors import InvalidRequest
from mesh.platforms.here import HERE
from node_agent.engine.abort import AbortFlag
from node_agent.engine.arguments import NICENESS
from node_agent.engine.capabilities import CAPABILITIES, EMBEDDER_CAPABILITIES
from node_agent.engine.codec import ASKED, decode_to_engine, encode
from node_agent.engine.embed_loop import EmbedLoop
from node_agent.engine.embedder import Embedder
from node_agent.engine.frames import FrameDecoder, FrameError, encode_frame
from node_agent.engine.inbox import Inbox
from node_agent.engine.llama import DecodeError, Llama, LoadError
from node_agent.engine.load_progress import LoadProgress
from node_agent.engine.messages import (
    Cancelled,
    Complaint,
    Failed,
    FromEngine,
    Loaded,
    Loading,
    LoadRefused,
)
from node_agent.engine.pace import Pace
from node_agent.engine.prompts import Prompter
from node_agent.engine.proof import prove
from node_agent.engine.step_loop import StepLoop
from node_agent.engine.template import ChatTemplate
from node_agent.engine.warm_folder import WarmFolder, WarmPlace

_READ_BYTES = 256 * 1024  # one read for all but the largest prompts


class Channel:
    """The socket to the agent. Ends the process when the agent is gone."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._sending = threading.Lock()  # prompts are counted on another thread than answered

    def send(self, message: FromEngine) -> None:
        """Send a message; blocks while the agent reads slower than we write."""
        frame = encode_frame(encode(message))
        try:
            with self._sending:
                self._socket.sendall(frame)
        except OSError:
            os._exit(0)

    def read_into(self, inbox: Inbox) -> None:
        """Read until the agent closes the socket, then end the process, whatever it is doing."""
        decoder = FrameDecoder()
        try:
            while data := self._socket.recv(_READ_BYTES):
                for body in decoder.feed(data):
                    self._take(body, inbox)
        except (OSError, FrameError):
            os._exit(2)
        os._exit(0)

    def _take(self, body: dict[str, object], inbox: Inbox) -> None:
        """Raises FrameError: it is no message, and not even a request that could be refused."""
        try:
            message = decode_to_engine(body)
        except FrameError as failure:
            number = body.get("request")
            if body.get("type") not in ASKED or type(number) is not int:
                raise
            # What one client asks ends no answer of another's.
            self.send(
                Failed(number, InvalidRequest(f"the engine can't read the request: {failure}"))
            )
            return
        inbox.put(message)


def main(arguments: Sequence[str]) -> int:
    """Load, then serve until the agent closes the socket."""
    options = _parser().parse_args(arguments)
    _become_engine(options.niceness)
    channel = Channel(HERE.inherited_socket(options.descriptor))
    abort = AbortFlag()
    inbox = Inbox(abort, lambda number: channel.send(Cancelled(number)))
    threading.Thread(target=channel.read_into, args=(inbox,), name="reader", daemon=True).start()
    if options.embeds:
        return _embed(options, channel, inbox, abort)
    try:
        llama = Llama(
            Path(options.model),
            context_tokens=options.context_tokens,
            slots=options.slots,
            threads=options.threads,
            abort=abort,
            progress=LoadProgress(lambda share: channel.send(Loading(share))),
            gpu_off=None if options.no_gpu else options.gpu_off,
        )
    except LoadError as failure:
        channel.send(LoadRefused(str(failure), failure.hint))
        return 1
    plan = prove(llama)
    llama.numerics = plan.numerics(llama.numerics)
    template = ChatTemplate(llama.chat_template(), bos=llama.bos_text(), eos=llama.eos_text())
    if llama.spared_layers:
        channel.send(Complaint(_spared(llama)))
    channel.send(
        Loaded(
            llama.context_tokens,
            llama.slots,
            CAPABILITIES,
            llama.numerics,
            llama.gpu_layers,
            llama.gpu_off,
        )
    )
    keep = None
    if options.warm_folder:
        folder = WarmFolder(Path(options.warm_folder), options.warm_bytes_max)
        keep = WarmPlace(folder, options.model_id)
    pace = Pace.of_machine(options.threads)
    loop = StepLoop(llama, plan, pace, inbox, channel.send, keep=keep)
    threading.Thread(target=_work, args=(loop.run,), name="model", daemon=True).start()
    Prompter(llama, template, channel.send).prepare_all(inbox)


def _spared(llama: Llama) -> str:
    return (
        f"the GPU had no memory for {llama.gpu_layers + llama.spared_layers} layers, so"
        f" {llama.gpu_layers or 'none'} are there: another program may hold it"
    )


def _embed(options: argparse.Namespace, channel: Channel, inbox: Inbox, abort: AbortFlag) -> int:
    """Do what ``main`` does, with a model that turns text into vectors."""
    try:
        embedder = Embedder(
            Path(options.model),
            context_tokens=options.context_tokens,
            threads=options.threads,
            abort=abort,
        )
    except LoadError as failure:
        channel.send(LoadRefused(str(failure), failure.hint))
        return 1
    channel.send(Loaded(embedder.context_tokens, options.slots, EMBEDDER_CAPABILITIES, ""))
    loop = EmbedLoop(embedder, inbox, channel.send)
    threading.Thread(target=_work, args=(loop.run,), name="model", daemon=True).start()
    loop.hear_all()


def _work(run: Callable[[], NoReturn]) -> NoReturn:
    """Run the model until it fails; the agent loads it again then."""
    try:
        run()
    except DecodeError:
        os._exit(1)
    except BaseException:
        traceback.print_exc()  # the agent keeps the last line of it
        os._exit(1)


def _become_engine(niceness: int) -> None:
    """Step back behind the owner's work, leave no memory dump, and die with the agent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the agent: it decides
    HERE.step_back(niceness)
    HERE.leave_no_dump()
    # The end of the socket does the same, but for a process that is too stuck to notice.
    HERE.end_with_parent()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="node_agent.engine.worker")
    parser.add_argument("--descriptor", required=True, help="of the inherited socket")
    parser.add_argument("--model", required=True, help="path of the GGUF file")
    parser.add_argument("--context-tokens", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True, help="answers at a time")
    parser.add_argument("--threads", type=int, required=True, help="at most")
    parser.add_argument("--niceness", type=int, default=NICENESS, help="as nice(1) has it")
    parser.add_argument("--model-id", default="", help="names the files of saved slots")
    parser.add_argument("--warm-folder", default="", help="where slots are saved; empty: nowhere")
    parser.add_argument("--warm-bytes-max", type=int, default=0, help="of all files in that folder")
    parser.add_argument("--no-gpu", action="store_true", help="leave all to the processor")
    parser.add_argument("--gpu-off", type=float, default=1.0, help="of what is foretold there")
    parser.add_argument("--embeds", action="store_true", help="turn texts into vectors")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
