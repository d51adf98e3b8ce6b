"""Who may answer: the models of the mesh, and the one that is paid for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.core.catalogue import energy_of
from mesh.core.rung_cost import READING, USD_PER_KWH
from mesh.errors import InvalidRequest
from models.recipe import RECIPES, model_path

LARGE = "test-large"
TINY = "test-tiny"
# Of USD a million tokens, as a frontier model costs: GPT-4o's in 2025, 2.50 in and 10 out.
PRICE_USD = (2.5, 10.0)


@dataclass(frozen=True, slots=True)
class Local:
    """One model of the mesh; its name is its file's."""

    file: Path
    domain: str = ""  # what it is a specialist of

    @property
    def name(self) -> str:
        return self.file.stem

    def energy_microusd(self, prompt_tokens: int, answer_tokens: int) -> float:
        """Return what the machine's energy costs, by the catalogue's estimate."""
        tokens = answer_tokens + READING * prompt_tokens
        return tokens * energy_of(self.file.stat().st_size) * USD_PER_KWH / 1000


@dataclass(frozen=True, slots=True)
class Rungs:
    """All of them.

    Attributes:
        models: the mesh's, smallest file first.
        paid: the upstream's model, by its name there.
        upstream: its address up to its /v1; "": llama.cpp's server with ``paid_file`` is started.
        price_usd: of a million tokens in and out.
        instruction: put before each prompt, for models that were not made for these tasks.
    """

    models: tuple[Local, ...]
    paid: str
    paid_file: Path | None = None
    upstream: str = ""
    price_usd: tuple[float, float] = PRICE_USD
    instruction: str = ""

    @property
    def small(self) -> Local:
        """The mesh's best generalist: the largest."""
        return [each for each in self.models if not each.domain][-1]

    @property
    def specialists(self) -> Mapping[str, Local]:
        """By domain."""
        return {each.domain: each for each in self.models if each.domain}

    def of(self, name: str) -> Local | None:
        return next((each for each in self.models if each.name == name), None)


def repository_family() -> Rungs:
    """The repository's own: a specialist for each field, two generalists, and the paid one."""
    files = [(model_path(each), each.domain or "") for each in RECIPES.values()]
    found = [Local(*each) for each in files if each[0].stem != LARGE]
    return Rungs(_by_size(found), LARGE, model_path(RECIPES[LARGE]))


def own_models(
    files: Sequence[Path], upstream: str, paid: str, price_usd: tuple[float, float]
) -> Rungs:
    """Return anybody's own.

    Raises:
        InvalidRequest: a file is not there.
    """
    if missing := [str(each) for each in files if not each.is_file()]:
        raise InvalidRequest(f"there is no file {missing[0]}", hint="give GGUF files")
    bare = "Answer with the bare answer only, with no word, sentence or mark around it."
    return Rungs(
        _by_size([Local(each.resolve()) for each in files]),
        paid,
        upstream=upstream,
        price_usd=price_usd,
        instruction=bare,
    )


def _by_size(found: Sequence[Local]) -> tuple[Local, ...]:
    return tuple(sorted(found, key=lambda each: each.file.stat().st_size))
