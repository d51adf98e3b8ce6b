"""Which engine serves a model of this machine: today, always llama.cpp in a process of its own."""

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Concatenate, ParamSpec

from mesh.settings import NodeSettings
from node_agent.engine.gpu_deaths import load_with_less_on_gpus
from node_agent.engine.protocol import Engine, LoadFailed
from node_agent.engine.supervisor import EngineProcess
from node_agent.engine.warm_folder import WarmFolder
from node_agent.library.catalogue import Library
from node_agent.library.origins import left_to
from node_agent.library.view import LibraryEntry
from node_agent.loader import LoadEngine
from node_agent.loads_known import LoadsKnown
from node_agent.warm_keeping import place_of

_NEEDED = {"llama_cpp": "llama-cpp-python", "jinja2": "jinja2"}  # module -> package


def missing_engine() -> str:
    """Return why this machine can run no model at all, "" if it can."""
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if not missing:
        return ""
    return f"{' and '.join(missing)} is not installed here: pip install 'deskmesh[node]'"


def engine_processes(
    library: Library,
    settings: NodeSettings,
    warm: WarmFolder,
    known: LoadsKnown,
    *,
    on_gpus: Callable[[], bool] = lambda: False,
) -> LoadEngine:
    """Return what loads a model of ``library``, each in a process of its own.

    ``on_gpus`` tells whether there are GPUs that the engine gives layers to.
    """

    async def load(
        entry: LibraryEntry, slots: int, context_tokens: int, told: Callable[[float], None]
    ) -> Engine:
        path = library.file_of(entry.model.model_id)
        if path is None:
            raise LoadFailed(
                f"the file of {entry.model.name} has changed or is gone",
                hint="it is looked at again within half a minute",
            )

        async def start(gpu_off: float | None) -> Engine:
            return await EngineProcess.start(
                path,
                context_tokens=context_tokens,
                slots=slots,
                threads=settings.threads,
                niceness=settings.niceness,
                told=told,
                keep=place_of(warm, entry.model.model_id),
                embeds=entry.embeds,
                gpu_off=gpu_off,
            )

        last = known.of(entry.model.model_id)
        gpu_off = last.gpu_off if last else 1.0
        if entry.embeds or not on_gpus():
            return await start(gpu_off)
        return await load_with_less_on_gpus(start, gpu_off)

    return or_left_to_its_own(load)


HowToLoad = ParamSpec("HowToLoad")


def or_left_to_its_own(
    load: Callable[Concatenate[LibraryEntry, HowToLoad], Awaitable[Engine]],
) -> Callable[Concatenate[LibraryEntry, HowToLoad], Awaitable[Engine]]:
    """Return ``load`` whose failures say what else can be done, where another tool has the model.

    An architecture that llama.cpp does not know is noticed before (``known_architectures``), but
    not a file of a known one that another engine has put together in its own way.
    """

    async def tried(
        entry: LibraryEntry, /, *how: HowToLoad.args, **further: HowToLoad.kwargs
    ) -> Engine:
        try:
            return await load(entry, *how, **further)
        except LoadFailed as failure:
            if who := left_to(entry.origins):
                raise LoadFailed(failure.message, hint=who) from failure
            raise

    return tried


def process_ids(engines: list[Engine]) -> list[int]:
    """Return the ids of the engines' processes, whose work is not the owner's."""
    return [engine.pid for engine in engines if isinstance(engine, EngineProcess) and engine.pid]
