"""Write a trained test model as a GGUF file: ``python -m models.export``."""

import argparse
from pathlib import Path

import gguf
import torch
from gguf.quants import quantize

from models import tokenizer
from models.recipe import RECIPES, Recipe, model_path
from models.tasks import TASKS
from models.train import checkpoint_path
from models.transformer import Transformer

# Llama's name for each tensor in a GGUF, by the module it comes from; norms stay in 32 bits there.
_GLOBAL = {"embedding": "token_embd", "norm": "output_norm"}
_IN_BLOCK = {
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}

# llama.cpp refuses a vocabulary without merges, so there is one that can never apply: merging
# starts from single bytes, and no byte is spelled like a turn mark.
_IDLE_MERGE = " ".join((tokenizer.SPECIAL[0], tokenizer.SPECIAL[0]))


def export(recipe: Recipe, checkpoint: Path, target: Path) -> None:
    """Write ``target`` from ``checkpoint``; the same checkpoint gives the same bytes."""
    saved = torch.load(checkpoint, weights_only=True)
    if not saved["ended"]:
        raise SystemExit(f"{checkpoint} is at step {saved['step']} of {recipe.steps}: train on")
    model = Transformer(recipe)
    model.load_state_dict(saved["model"])
    partial = target.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    _write_description(writer, recipe)
    _write_shape(writer, recipe)
    _write_tokenizer(writer)
    _write_weights(writer, model, gguf.GGMLQuantizationType[recipe.weights])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(target)
    print(f"{target.name}: {target.stat().st_size:,} bytes")


def _write_description(writer: gguf.GGUFWriter, recipe: Recipe) -> None:
    """Say what it is; the ``deskmesh.`` keys let the product tell it from a real model."""
    tasks = [TASKS[name] for name in recipe.mix]
    writer.add_name(recipe.name)
    writer.add_description("A test bench for deskmesh. It does a few toy tasks and nothing else.")
    writer.add_bool("deskmesh.test_model", True)
    writer.add_array("deskmesh.tasks", [task.name for task in tasks])
    writer.add_array("deskmesh.examples", [task.example for task in tasks])
    if recipe.domain is not None:
        writer.add_array("deskmesh.domains", [recipe.domain])


def _write_shape(writer: gguf.GGUFWriter, recipe: Recipe) -> None:
    writer.add_context_length(recipe.context_tokens)
    writer.add_embedding_length(recipe.width)
    writer.add_block_count(recipe.layers)
    writer.add_feed_forward_length(recipe.feed_forward)
    writer.add_head_count(recipe.heads)
    writer.add_head_count_kv(recipe.heads)
    writer.add_rope_dimension_count(recipe.head_width)
    writer.add_rope_freq_base(recipe.rope_base)
    writer.add_layer_norm_rms_eps(recipe.norm_epsilon)
    writer.add_vocab_size(tokenizer.VOCABULARY_SIZE)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{recipe.weights}"])


def _write_tokenizer(writer: gguf.GGUFWriter) -> None:
    marks = len(tokenizer.SPECIAL)
    bytes_count = tokenizer.VOCABULARY_SIZE - marks
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokenizer.vocabulary())
    writer.add_token_types([gguf.TokenType.NORMAL] * bytes_count + [gguf.TokenType.CONTROL] * marks)
    writer.add_token_merges([_IDLE_MERGE])
    # There is no beginning mark; llama.cpp wants a valid id all the same, and never adds it.
    writer.add_bos_token_id(tokenizer.END)
    writer.add_eos_token_id(tokenizer.END)
    writer.add_eot_token_id(tokenizer.END)
    writer.add_pad_token_id(tokenizer.END)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(tokenizer.CHAT_TEMPLATE)


def _write_weights(
    writer: gguf.GGUFWriter, model: Transformer, kind: gguf.GGMLQuantizationType
) -> None:
    for name, weight in model.state_dict().items():
        values, tensor = weight.numpy(), _tensor_name(name)
        if values.ndim == 2:
            writer.add_tensor(tensor, quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(tensor, values)


def _tensor_name(name: str) -> str:
    """Translate "blocks.3.query.weight" to "blk.3.attn_q.weight"."""
    match name.split("."):
        case ["blocks", number, module, "weight"]:
            return f"blk.{number}.{_IN_BLOCK[module]}.weight"
        case [module, "weight"]:
            return f"{_GLOBAL[module]}.weight"
        case _:
            raise ValueError(f"no place for {name} in a GGUF")


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description="Write a trained test model as GGUF.")
    parser.add_argument("--model", choices=tuple(RECIPES), default="test-tiny")
    parser.add_argument("--checkpoint", type=Path, help="what train.py saved")
    parser.add_argument("--target", type=Path, help="the file to write")
    options = parser.parse_args()
    recipe = RECIPES[options.model]
    export(
        recipe,
        options.checkpoint or checkpoint_path(recipe),
        options.target or model_path(recipe),
    )


if __name__ == "__main__":
    main()
