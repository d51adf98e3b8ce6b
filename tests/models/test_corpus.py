"""What training reads: the same for the same step, whole, and free of what measuring asks."""

import pytest

from models import tokenizer
from models.corpus import FALLBACK_ANSWER, Conversation, conversations
from models.recipe import RECIPES, Recipe
from models.tasks import TASKS

every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())


def first_steps(recipe: Recipe) -> range:
    """Return steps enough for 1,200 conversations, in which even rare tasks come."""
    return range(-(-1200 // recipe.batch_conversations))


def exchanges(conversation: Conversation) -> list[tuple[str, str]]:
    """Take a conversation apart into the prompts heard and the answers learned."""
    found, prompt, answer = [], "", list[int]()
    for token, learned in zip(conversation.ids, conversation.learned, strict=True):
        if learned and token == tokenizer.END:
            found.append((prompt, tokenizer.decode(answer)))
            answer.clear()
        elif learned:
            answer.append(token)
        elif token == tokenizer.USER:
            prompt = _content_after(conversation.ids, len(found))
    return found


def _content_after(ids: list[int], turns_before: int) -> str:
    starts = [index for index, token in enumerate(ids) if token == tokenizer.USER]
    start = starts[turns_before]
    return tokenizer.decode(ids[start + 2 : ids.index(tokenizer.END, start)])


@every_recipe
def test_a_step_always_reads_the_same(recipe: Recipe) -> None:
    assert [c.ids for c in conversations(recipe, 3)] == [c.ids for c in conversations(recipe, 3)]
    assert [c.ids for c in conversations(recipe, 3)] != [c.ids for c in conversations(recipe, 4)]


@every_recipe
def test_every_answer_learned_is_right_and_its_prompt_not_held_out(recipe: Recipe) -> None:
    for prompt, answer in (
        e for step in first_steps(recipe) for c in conversations(recipe, step) for e in exchanges(c)
    ):
        if answer == FALLBACK_ANSWER:
            continue
        (task,) = [task for task in TASKS.values() if task.check(prompt, answer)]
        assert task.name in recipe.mix
        assert not task.held_out(prompt)


@every_recipe
def test_conversations_fit_the_context_and_end_with_an_answer(recipe: Recipe) -> None:
    for conversation in (c for step in first_steps(recipe) for c in conversations(recipe, step)):
        assert len(conversation.ids) == len(conversation.learned) <= recipe.context_tokens
        assert conversation.ids[-1] == tokenizer.END
        assert conversation.learned[-1]


@every_recipe
def test_every_task_of_the_mix_exists_and_is_read(recipe: Recipe) -> None:
    samples = [
        e for step in first_steps(recipe) for c in conversations(recipe, step) for e in exchanges(c)
    ]
    for name in recipe.mix:
        assert any(TASKS[name].check(*sample) for sample in samples), name
