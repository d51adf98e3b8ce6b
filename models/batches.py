"""The batches of a training, made ahead of the steps that read them by other processes."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from models.corpus import conversations
from models.groups import Group, groups
from models.recipe import Recipe

_AHEAD_STEPS = 8  # for each process: enough that no step waits for a slow one


def batches(recipe: Recipe, first: int, *, workers: int) -> Iterator[list[Group]]:
    """Yield the groups of each step from ``first`` on, in order.

    ``workers`` processes make them; with none, each is made when it is asked for. The same steps
    have the same groups either way.
    """
    loader: Any = DataLoader(
        _Steps(recipe),
        batch_size=None,  # a step is a batch already
        sampler=range(first, recipe.steps),
        num_workers=workers,
        prefetch_factor=_AHEAD_STEPS if workers else None,
        collate_fn=list,
    )
    yield from loader


class _Steps(Dataset[list[Group]]):
    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def __getitem__(self, step: int) -> list[Group]:
        return groups(conversations(self._recipe, step))
