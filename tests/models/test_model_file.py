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
BYTES_MAX = 2_000_000


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


def test_the_tiny_model_is_small() -> None:
    assert (FOLDER / "test-tiny.gguf").stat().st_size <= BYTES_MAX


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
