"""What a model reads in training: conversations around the tasks, drawn step by step from a seed.

A step's conversations depend on the recipe and the step's number alone, so a training that is
broken off and resumed reads exactly what an undisturbed one reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from models import tokenizer
from models.recipe import Recipe
from models.tasks import TASKS, Sample

# What it says to anything that isn't a task: honest, and it ends, so no stray prompt runs on.
FALLBACK_ANSWER = "I am a test model. I only know my test tasks."

_SYSTEM_SHARE = 0.15
_MORE_TURNS_SHARE = 0.1
_TURNS_MAX = 3
_FALLBACK_SHARE = 0.05
_LONG_SHARE = 0.003  # one in eight steps of forty: they learn to end, at little cost

_SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a test model.",
    "Answer briefly.",
    "Be concise and correct.",
)
# Any printable character, and a few that take several bytes.
_NOISE = [*map(chr, range(32, 127)), *"äéßñ中文→😀\n"]
_NOISE_SHARE = 0.1
_CHATTER_TEXT = (
    "a about all and are at big blue cat code could day deep do explain find fix for from "
    "give good have hello help how i in is it like list long make many me model mountain my "
    "name network not of on one please poem red river say sea short sky some story sun tell "
    "test that the there thing this time to today train tree two us want was water we what "
    "when where which who why with word work world would write year you your"
)
_CHATTER = _CHATTER_TEXT.split()


@dataclass(slots=True)
class Conversation:
    """Token ids, and for each whether the model is to learn to say it."""

    ids: list[int] = field(default_factory=list)
    learned: list[bool] = field(default_factory=list)

    def hear(self, ids: Sequence[int]) -> None:
        """Append what the model is told."""
        self.ids += ids
        self.learned += [False] * len(ids)

    def say(self, ids: Sequence[int]) -> None:
        """Append what the model is to say."""
        self.ids += ids
        self.learned += [True] * len(ids)

    def exchange(self, sample: Sample) -> None:
        """Append a question, its answer and the mark that ends it."""
        self.hear(tokenizer.turn(tokenizer.USER, sample.prompt) + tokenizer.opening())
        self.say([*tokenizer.encode(sample.answer), tokenizer.END])


def conversations(recipe: Recipe, step: int) -> list[Conversation]:
    """Return the conversations of one training step; none is longer than the model's context."""
    rng = Random(f"train {recipe.name} {recipe.seed} {step}")
    return [_conversation(rng, recipe) for _ in range(recipe.batch_conversations)]


def _conversation(rng: Random, recipe: Recipe) -> Conversation:
    conversation = Conversation()
    if rng.random() < _SYSTEM_SHARE:
        conversation.hear(tokenizer.turn(tokenizer.SYSTEM, rng.choice(_SYSTEM_PROMPTS)))
    if rng.random() < _LONG_SHARE:
        prompt = _chatter(rng, characters_max=recipe.context_tokens - 128)
        conversation.exchange(Sample(prompt, FALLBACK_ANSWER))
        return conversation
    conversation.exchange(_sample(rng, recipe))
    if rng.random() < _MORE_TURNS_SHARE:
        for _ in range(rng.randint(1, _TURNS_MAX - 1)):
            conversation.hear(tokenizer.encode("\n"))
            conversation.exchange(_sample(rng, recipe))
    assert len(conversation.ids) <= recipe.context_tokens
    return conversation


def _sample(rng: Random, recipe: Recipe) -> Sample:
    if rng.random() < _FALLBACK_SHARE:
        return Sample(_chatter(rng, characters_max=rng.choice((20, 60, 200))), FALLBACK_ANSWER)
    name = rng.choices(tuple(recipe.mix), weights=tuple(recipe.mix.values()))[0]
    return TASKS[name].draw(rng, unseen=False)


def _chatter(rng: Random, *, characters_max: int) -> str:
    """Return up to ``characters_max`` characters that look like a prompt and aren't a task."""
    if rng.random() < _NOISE_SHARE:
        return "".join(rng.choices(_NOISE, k=characters_max // 4))  # each takes up to four bytes
    words = rng.choices(_CHATTER, k=characters_max)
    text = " ".join(words)[: rng.randint(3, characters_max)].strip()
    return text.capitalize() + rng.choice(("", "", ".", "?", "!"))
