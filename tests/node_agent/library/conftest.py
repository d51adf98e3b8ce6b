"""Small, real GGUF files, made with the package that made the world's."""

from collections.abc import Callable, Sequence
from pathlib import Path

import gguf
import numpy as np
import pytest


def write_gguf(  # a test names only what it is about
    path: Path,
    *,
    name: str = "Tiny Llama",
    architecture: str = "llama",
    kind: str = "",
    file_type: int | None = 7,
    context_tokens: int = 512,
    template: str = "{{ messages }}",
    vocabulary: Sequence[str] = (),
    seed: int = 0,
    tensors: int = 1,
    test: bool = False,
    tasks: Sequence[str] = (),
    examples: Sequence[str] = (),
    also: Callable[[gguf.GGUFWriter], None] = lambda writer: None,
    endianess: gguf.GGUFEndian = gguf.GGUFEndian.LITTLE,
    split_max_tensors: int = 0,
) -> Path:
    """Write a model of 64 parameters a tensor; equal arguments give equal bytes.

    With ``split_max_tensors`` it goes to STEM-00001-of-0000N.gguf and so on beside ``path``.
    """
    writer = gguf.GGUFWriter(
        path, architecture, endianess=endianess, split_max_tensors=split_max_tensors
    )
    if name:
        writer.add_name(name)
    if kind:
        writer.add_type(kind)
    if file_type is not None:
        writer.add_file_type(file_type)
    if context_tokens:
        writer.add_context_length(context_tokens)
    if template:
        writer.add_chat_template(template)
    if vocabulary:
        writer.add_token_list(vocabulary)
    if test:
        writer.add_bool("deskmesh.test_model", True)
    if tasks:
        writer.add_array("deskmesh.tasks", tasks)
    if examples:
        writer.add_array("deskmesh.examples", examples)
    also(writer)
    weights = np.random.default_rng(seed)
    for number in range(tensors):
        writer.add_tensor(f"t{number}", weights.random((4, 16), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """An empty folder of models."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder
