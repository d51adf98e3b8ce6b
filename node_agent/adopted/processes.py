"""Which processes an adopted engine is, so that its work for us is not taken for the owner's.

An engine that answers us uses the machine as ours do, at an ordinary priority: without this,
whoever asks it would be told at once that the owner is busy. Its work counts as ours while we have
answers there and shortly after; what its owner asks of it meanwhile does as well, which cannot be
told apart.

The process that listens is found by its port where the system tells that: of one that another user
runs, as Ollama's service is, it does not. Then the kind's usual names have to do. What they have
started is theirs: Ollama and LM Studio run each model in a process of its own.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import psutil

from node_agent.adopted.kinds import Kind

LATELY_S = 5.0  # after an answer: engines tidy up, and the last look was up to a second ago
PROCESSES_MAX = 64  # of one engine: a vLLM has a few for each GPU

_NAMES: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.OLLAMA: ("ollama",),
        Kind.LM_STUDIO: ("lm studio", "lm-studio", "lms", "llmster"),
        Kind.LLAMA_CPP: ("llama-server",),
        Kind.VLLM: ("vllm",),
        Kind.RAY_SERVE: ("raylet", "ray::"),
        Kind.OTHER: (),
    }
)


def processes_of(kind: Kind, port: int) -> tuple[int, ...]:
    """Return the ids of an engine's processes, as far as this machine tells. Takes milliseconds."""
    try:
        roots = _listening(port) or _called(_NAMES[kind])
        found = [*roots, *(child for root in roots for child in root.children(recursive=True))]
    except (psutil.Error, OSError):
        return ()
    return tuple(sorted({each.pid for each in found}))[:PROCESSES_MAX]


def _listening(port: int) -> list[psutil.Process]:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:  # macOS tells only root
        return []
    found = {
        each.pid
        for each in connections
        if each.status == psutil.CONN_LISTEN and each.pid and getattr(each.laddr, "port", 0) == port
    }
    return [psutil.Process(pid) for pid in found]


def _called(names: Iterable[str]) -> list[psutil.Process]:
    names = tuple(names)
    return [
        each
        for each in psutil.process_iter(["name"])
        if names and str(each.info["name"] or "").lower().startswith(names)
    ]
