"""How near a model's memory is foretold: each is loaded, used, and measured in its own process.

Two figures of each: ``resident``, what any process list shows, and ``own``, the part that comes
back only when the model leaves. Pages of the file are the difference; a system may take them back.
Only Linux tells the two apart.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from bench.fits_models import Made, write
from bench.result import Figures
from mesh.core.chat import Message, Role
from mesh.core.footprint import Foretold, Shape, foretell
from mesh.core.generation import Generation, Sampling
from node_agent.engine.supervisor import EngineProcess
from node_agent.library.header import read_header
from node_agent.memory import missing_memory_bytes, served_by

_BUNDLED = Path(__file__).parent.parent / "models"
_ROOM_TOKENS = 64  # of a context, for the template and a few tokens of an answer
_ANSWER_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Case:
    """One model, served in one way, and how much of a slot's context is used."""

    model: Made | str  # made for this, or one of the bundled
    slots: int
    context_tokens: int
    used: float = 1.0  # of the context

    @property
    def name(self) -> str:
        name = self.model if isinstance(self.model, str) else self.model.name
        return f"{name}_{self.slots}x{self.context_tokens}"


_LLAMA = Made(name="llama-f16", type_name="F16")
_QWEN = Made(
    name="qwen3-q8", architecture="qwen3", width=1024, layers=12, heads=16, heads_kv=8,
    head_width=128, feed_forward=3072, words=151_936, merges=151_000,
)  # fmt: skip
_GEMMA = Made(
    name="gemma3-q8", architecture="gemma3", width=640, layers=18, heads=4, heads_kv=1,
    head_width=256, feed_forward=2048, words=100_000, merges=100_000, window=512,
)  # fmt: skip
_MIXTURE = Made(
    name="qwen3moe-q4_0", architecture="qwen3moe", type_name="Q4_0", heads_kv=4, experts=32,
    experts_used=8, feed_forward=384, words=50_000,
)  # fmt: skip
_MAMBA = Made(name="mamba-q8", architecture="mamba", width=768, layers=12, inner=1536)
_ENCODER = Made(
    name="bert-q8", architecture="bert", width=768, layers=12, heads=12, heads_kv=12,
    feed_forward=3072, words=30_522,
)  # fmt: skip
_Q4K = Made(
    name="llama-q4_k", type_name="Q4_K", width=1024, heads=16, heads_kv=4, feed_forward=4096,
    tied=False,
)  # fmt: skip
_SMALL_Q4 = Made(name="llama-q4_0", type_name="Q4_0", width=1024, heads=16, heads_kv=4)
_LARGE = Made(
    name="llama-2gb-f16", type_name="F16", width=2048, layers=18, heads=32, heads_kv=8,
    feed_forward=6144, words=64_000, merges=64_000,
)  # fmt: skip
_NARROW = Made(
    name="narrow-q8", width=256, layers=16, heads=1, heads_kv=1, head_width=128, feed_forward=256,
    words=4_000,
)  # fmt: skip

_SHORT = (
    Case("test-tiny", 1, 512),
    Case("test-large", 4, 512),
    Case(_LLAMA, 2, 1024),
    Case(_SMALL_Q4, 1, 512),
    Case(_ENCODER, 1, 512),
)
_ALL = (
    *_SHORT,
    Case("test-small", 8, 512),
    Case(_LLAMA, 8, 2048),
    Case(_LLAMA, 1, 4096),
    Case(_NARROW, 1, 32_768, used=0.5),
    Case(_QWEN, 1, 512),
    Case(_QWEN, 4, 2048, used=0.5),
    Case(_GEMMA, 1, 2048),
    Case(_GEMMA, 4, 4096, used=0.25),
    Case(_MIXTURE, 1, 2048),
    Case(_MIXTURE, 6, 1024),
    Case(_MAMBA, 1, 1024),
    Case(_MAMBA, 8, 1024),
    Case(_Q4K, 2, 1024),
    Case(_SMALL_Q4, 8, 4096, used=0.25),
    Case(_LARGE, 1, 512),
)


async def measure(short: bool) -> Figures:
    """Load and use each model, and compare."""
    figures: dict[str, float | int | None] = {}
    errors: list[float] = []
    own_errors: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in _SHORT if short else _ALL:
            told, resident, own = await take(case, Path(folder))
            error, own_error = percent_off(told.resident, resident), percent_off(told.own, own)
            errors.append(error)
            own_errors.append(own_error)
            print(
                f"  {case.name:<26} foretold {told.resident / 1e6:8.1f} MB, took"
                f" {resident / 1e6:8.1f} ({error:+5.1f} %); own {told.own / 1e6:8.1f},"
                f" took {own / 1e6:8.1f} ({own_error:+5.1f} %)",
                flush=True,
            )
            figures |= {
                f"predicted_mb_{case.name}": round(told.resident / 1e6, 1),
                f"measured_mb_{case.name}": round(resident / 1e6, 1),
                f"error_percent_{case.name}": round(error, 2),
            }
    return figures | {
        "models": len(errors),
        "error_p50_percent": round(median(map(abs, errors)), 2),
        "error_max_percent": round(max(map(abs, errors)), 2),
        "own_error_p50_percent": round(median(map(abs, own_errors)), 2),
        "own_error_max_percent": round(max(map(abs, own_errors)), 2),
    }


def percent_off(foretold: int, taken: int) -> float:
    """Return how far what was foretold is from what was taken; above 0: too much was foretold."""
    return 100 * (foretold - taken) / taken


async def take(case: Case, folder: Path) -> tuple[Foretold, int, int]:
    """Return what was foretold, and what the process had at the end: all of it, and its own."""
    if sys.platform != "linux":
        raise SystemExit("bench fits needs Linux: it tells pages of a file from others")
    path = _file(case, folder)
    shape, embeds = _read(path)
    slots, tokens = case.slots, case.context_tokens
    told = foretell(shape, served_by(shape, slots, tokens, embeds=embeds))
    engine = await EngineProcess.start(
        path, context_tokens=tokens, slots=slots, threads=0, embeds=embeds
    )
    try:
        letters = int(case.used * engine.info.context_tokens) - _ROOM_TOKENS
        if embeds:
            await engine.embed([" ".join(["w1"] * max(1, letters))])
        else:
            await _ask(engine, letters)
        own = missing_memory_bytes(engine.pid)
        assert own is not None, "it is gone"
        return told, int(psutil.Process(engine.pid).memory_info().rss), own
    finally:
        await engine.close()


def _file(case: Case, folder: Path) -> Path:
    if isinstance(case.model, str):
        return _BUNDLED / f"{case.model}.gguf"
    for other in folder.glob("*.gguf"):  # 2 GB at a time are enough
        if other.stem != case.model.name:
            other.unlink()
    path = folder / f"{case.model.name}.gguf"
    return path if path.exists() else write(case.model, folder)


def _read(path: Path) -> tuple[Shape, bool]:
    with path.open("rb") as file:
        header = read_header(file)
    return header.shape, header.embeds


async def _ask(engine: EngineProcess, letters: int) -> None:
    prompt = Message(Role.USER, "abcdefghi " * (letters // 10))
    async for _ in engine.generate(
        Generation((prompt,), Sampling(temperature=0.0), _ANSWER_TOKENS)
    ):
        pass
