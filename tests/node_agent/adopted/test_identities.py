"""What an adopted model is to the mesh."""

from dataclasses import replace

from mesh.core.types import Model, ModelIdentity
from node_agent.adopted.described import Described
from node_agent.adopted.identity import identity_of, model_of
from node_agent.adopted.kinds import Kind

QWEN = Described("qwen3:8b", ("qwen3:8b",), digest="d1", quantisation="Q4_K_M", parameters=8)


def test_it_is_the_same_wherever_the_same_engine_has_the_same_model() -> None:
    assert identity_of(Kind.OLLAMA, QWEN) == identity_of(Kind.OLLAMA, replace(QWEN, loaded=False))
    here = replace(QWEN, name="/opt/q.gguf", names=("q",), path="/opt/q.gguf")
    there = replace(QWEN, name="/srv/q.gguf", names=("q",), path="/srv/q.gguf")
    assert identity_of(Kind.LLAMA_CPP, here) == identity_of(Kind.LLAMA_CPP, there)


def test_another_engine_digest_or_quantisation_is_another_identity() -> None:
    others = [
        identity_of(Kind.LM_STUDIO, QWEN),
        identity_of(Kind.OLLAMA, replace(QWEN, digest="d2")),
        identity_of(Kind.OLLAMA, replace(QWEN, quantisation="Q8_0")),
        identity_of(Kind.OLLAMA, QWEN, nth=1),
        identity_of(Kind.OLLAMA, QWEN, nth=2),
        identity_of(Kind.OLLAMA, QWEN),
    ]
    assert len({each.model_id for each in others}) == len(others)


def test_it_is_never_that_of_the_weights_but_goes_by_their_names() -> None:
    weights = Model(
        ModelIdentity("a" * 64, "b" * 64, "F16"),
        ("test-tiny",),
        "llama",
        357_600,
        716_928,
        1024,
        test=True,
        tasks=("reverse",),
    )
    model = model_of(Kind.LLAMA_CPP, QWEN, weights=weights)
    assert model.model_id != weights.model_id
    assert model.names == ("qwen3:8b", "test-tiny")
    assert model.test, "a test bench stays one, whoever runs it"
