"""The recipes make a family: fields without gaps, and sizes that differ as they are said to."""

import pytest

from models.recipe import RECIPES, Recipe
from models.tasks import TASKS
from models.tasks.task import DOMAINS

SPECIALISTS = [recipe for recipe in RECIPES.values() if recipe.domain is not None]
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())


def test_every_task_is_of_a_field_and_every_field_has_at_least_four() -> None:
    fields = [task.domain for task in TASKS.values()]
    assert set(fields) == set(DOMAINS)
    assert all(fields.count(domain) >= 4 for domain in DOMAINS)


def test_each_field_has_one_specialist_that_reads_all_of_it_and_nothing_else() -> None:
    assert sorted(recipe.domain or "" for recipe in SPECIALISTS) == sorted(DOMAINS)
    for recipe in SPECIALISTS:
        assert set(recipe.mix) == {n for n, task in TASKS.items() if task.domain == recipe.domain}


@pytest.mark.parametrize("name", ["test-small", "test-large"])
def test_the_models_of_all_fields_read_every_task_but_what_is_left_to_specialists(
    name: str,
) -> None:
    assert set(TASKS) - set(RECIPES[name].mix) == {"weak_cipher"}


@every_recipe
def test_a_shape_is_one_that_eight_bits_can_hold(recipe: Recipe) -> None:
    assert recipe.width % 32 == recipe.feed_forward % 32 == 0, "Q8_0 has a scale for each 32"
    assert recipe.width == recipe.heads * recipe.head_width
    assert recipe.head_width % 32 == 0
