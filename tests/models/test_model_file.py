"""The model file in the repository is what its README promises; read without an engine."""

from pathlib import Path
from typing import Any

import gguf
import pytest

import models
from models import tokenizer
from models.recipe import RECIPES
from models.tasks import TASKS

FOLDER = Path(models.__file__).parent
# The repository holds them all, and every clone pays for it.
BYTES_MAX = {"test-tiny": 2_000_000, "test-small": 16_000_000, "test-large": 32_000_000}
SPECIALIST_BYTES_MAX = 4_000_000
FAMILY_BYTES_MAX = 35_000_000


@pytest.fixture(scope="module", params=RECIPES)
def name(request: pytest.FixtureRequest) -> str:
    model: str = request.param
    return model


@pytest.fixture(scope="module")
def file(name: str) -> gguf.GGUFReader:
    return gguf.GGUFReader(FOLDER / f"{name}.gguf")


def value(file: gguf.GGUFReader, key: str) -> Any:  # whatever the file holds under the key
    field = file.get_field(key)
    assert field is not None, f"no {key}"
    return field.contents()


def size_bytes(name: str) -> int:
    return (FOLDER / f"{name}.gguf").stat().st_size


def test_every_model_file_has_a_recipe() -> None:
    assert {file.stem for file in FOLDER.rglob("*.gguf")} == set(RECIPES)


def test_it_is_as_small_as_promised(name: str) -> None:
    assert size_bytes(name) <= BYTES_MAX.get(name, SPECIALIST_BYTES_MAX)


def test_a_specialist_has_a_quarter_of_the_small_models_size() -> None:
    for recipe in RECIPES.values():
        if recipe.domain is not None:
            assert 4 * size_bytes(recipe.name) <= size_bytes("test-small")


def test_the_family_is_small_together() -> None:
    assert sum(map(size_bytes, RECIPES)) <= FAMILY_BYTES_MAX


def test_a_specialist_says_its_field_and_nobody_else_has_one(
    file: gguf.GGUFReader, name: str
) -> None:
    if (domain := RECIPES[name].domain) is not None:
        assert value(file, "deskmesh.domains") == [domain]
    else:
        assert file.get_field("deskmesh.domains") is None


def test_it_says_that_it_is_a_test_model(file: gguf.GGUFReader, name: str) -> None:
    assert value(file, "general.name") == name
    assert value(file, "deskmesh.test_model") is True
    assert "test bench" in value(file, "general.description")


def test_it_names_its_tasks_with_an_example_each(file: gguf.GGUFReader, name: str) -> None:
    tasks = value(file, "deskmesh.tasks")
    assert tasks == list(RECIPES[name].mix)
    assert value(file, "deskmesh.examples") == [TASKS[task].example for task in tasks]


def test_its_shape_is_the_recipe(file: gguf.GGUFReader, name: str) -> None:
    recipe = RECIPES[name]
    assert value(file, "general.architecture") == "llama"
    assert value(file, "llama.context_length") == recipe.context_tokens >= 1024
    assert value(file, "llama.embedding_length") == recipe.width
    assert value(file, "llama.block_count") == recipe.layers
    assert value(file, "llama.rope.freq_base") == recipe.rope_base
    shapes = {tensor.name: tuple(tensor.shape) for tensor in file.tensors}
    assert shapes["token_embd.weight"] == (recipe.width, tokenizer.VOCABULARY_SIZE)
    assert shapes[f"blk.{recipe.layers - 1}.ffn_up.weight"] == (recipe.width, recipe.feed_forward)


def test_it_carries_this_tokenizer_and_template(file: gguf.GGUFReader) -> None:
    assert value(file, "tokenizer.ggml.model") == "gpt2"
    assert value(file, "tokenizer.ggml.tokens") == tokenizer.vocabulary()
    assert value(file, "tokenizer.chat_template") == tokenizer.CHAT_TEMPLATE


def test_its_answers_end_at_the_end_mark(file: gguf.GGUFReader) -> None:
    assert value(file, "tokenizer.ggml.eos_token_id") == tokenizer.END
    assert value(file, "tokenizer.ggml.eot_token_id") == tokenizer.END
    assert value(file, "tokenizer.ggml.add_bos_token") is False
