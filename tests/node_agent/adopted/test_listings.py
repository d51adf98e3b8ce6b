"""What engines say of their models, in the form that their documents show."""

from typing import Any

from mesh.core.types import Capability
from node_agent.adopted.described import Described
from node_agent.adopted.kinds import Kind
from node_agent.adopted.ollama import described
from node_agent.adopted.others import (
    called,
    list_named,
    llama_cpp_model,
    lm_studio_model,
    routed_model,
)

TAG = {
    "name": "qwen3:latest",
    "size": 5_225_388_164,
    "digest": "e4b5fd7f8af0",
    "details": {"family": "qwen3", "parameter_size": "8.2B", "quantization_level": "Q4_K_M"},
}
SHOWN: dict[str, Any] = {
    "capabilities": ["completion", "tools", "thinking"],
    "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
}


def test_an_ollama_model_is_what_its_tag_and_description_say() -> None:
    told = described(TAG, SHOWN, None)
    assert told.names == ("qwen3:latest", "qwen3")
    assert (told.architecture, told.parameters) == ("qwen3", 8_200_000_000)
    assert (told.size_bytes, told.quantisation) == (5_225_388_164, "Q4_K_M")
    assert told.capabilities == {Capability.TOOLS, Capability.GRAMMAR}
    assert not told.loaded


def test_ollama_serves_the_context_it_was_loaded_with_and_not_what_the_weights_could() -> None:
    assert described(TAG, SHOWN, None).context_tokens == 4096
    configured = {**SHOWN, "parameters": 'temperature  0.7\nnum_ctx    16384\nstop "x"'}
    assert described(TAG, configured, None).context_tokens == 16384
    assert described(TAG, configured, {"context_length": 32768}).context_tokens == 32768
    short = {"model_info": {"general.architecture": "b", "b.context_length": 512}}
    assert described(TAG, short, None).context_tokens == 512


def test_a_grammar_of_the_callers_own_is_for_llama_cpp_alone() -> None:
    assert Capability.GBNF in llama_cpp_model({"id": "m"}, {}).capabilities
    assert Capability.GBNF not in described(TAG, SHOWN, None).capabilities
    assert Capability.GBNF not in lm_studio_model({"id": "m"}).capabilities


def test_a_template_of_llama_cpp_that_shows_no_tools_calls_none() -> None:
    for said, can in (
        ({}, True),
        ({"supports_tools": True}, True),
        ({"supports_tools": False}, False),
    ):
        told = llama_cpp_model({"id": "m"}, {"chat_template_caps": said})
        assert (Capability.TOOLS in told.capabilities) is can


def test_a_llama_cpp_that_sleeps_is_not_loaded_and_is_woken_for_no_count() -> None:
    for says, awake in (({}, True), ({"is_sleeping": False}, True), ({"is_sleeping": True}, False)):
        told = llama_cpp_model({"id": "m"}, says)
        assert (told.loaded, told.counts) == (awake, awake)
    assert not routed_model({"id": "m", "status": {"value": "loaded"}}).counts


def test_an_ollama_model_that_embeds_writes_nothing() -> None:
    told = described(TAG, {"capabilities": ["embedding"]}, None)
    assert told.capabilities == {Capability.EMBED}


def test_lm_studio_tells_what_is_loaded() -> None:
    told = lm_studio_model(
        {
            "id": "qwen3-8b",
            "type": "llm",
            "arch": "qwen3",
            "quantization": "Q4_K_M",
            "state": "loaded",
            "max_context_length": 40960,
            "loaded_context_length": 8192,
            "capabilities": ["tool_use"],
        }
    )
    assert told.loaded
    assert told.context_tokens == 8192
    assert Capability.TOOLS in told.capabilities
    cold = lm_studio_model({"id": "e", "type": "embeddings", "state": "not-loaded"})
    assert not cold.loaded
    assert cold.capabilities == {Capability.EMBED}


def test_llama_cpp_tells_its_slots_and_the_context_of_each() -> None:
    meta = {"n_ctx_train": 32768, "n_params": 357600, "size": 716928, "ftype": "F16"}
    properties = {
        "default_generation_settings": {"n_ctx": 4096},
        "total_slots": 4,
        "model_path": "/models/tiny.gguf",
    }
    told = llama_cpp_model({"id": "/models/tiny.gguf", "meta": meta}, properties)
    assert told.name == "/models/tiny.gguf", "as it wants to be called"
    assert told.names == ("tiny",), "as people call it"
    assert (told.slots, told.context_tokens, told.parameters) == (4, 4096, 357600)


def test_a_routers_model_is_cold_until_its_status_says_otherwise() -> None:
    assert not routed_model({"id": "a", "status": {"value": "unloaded"}}).loaded
    assert routed_model({"id": "a", "status": {"value": "loaded"}}).loaded


def test_names_are_all_that_is_known_of_others() -> None:
    listing = list_named(Kind.OTHER, {"data": [{"id": "a"}, {"id": ""}, "junk", {"id": "\x1b[2J"}]})
    assert [each.name for each in listing.models] == ["a"]


def test_a_file_is_called_by_its_name() -> None:
    assert called("C:\\models\\Qwen3-8B-Q4_K_M.gguf") == "Qwen3-8B-Q4_K_M"
    assert called("org/model") == "org/model"


def test_numbers_and_texts_that_make_no_sense_are_left_out() -> None:
    told = llama_cpp_model(
        {"id": "a", "meta": {"n_params": -1, "size": True, "n_ctx_train": 1e9}},
        {"total_slots": "four", "default_generation_settings": []},
    )
    assert told == Described("a", ("a",), True, told.capabilities, counts=True)
