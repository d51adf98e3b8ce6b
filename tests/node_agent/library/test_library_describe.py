"""The reader child's own side: what it says of whole, odd and hostile files."""

import hashlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
from gguf import PoolingType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node_agent.library import describe
from node_agent.library.description import ChildLine, Description, Fault, Rejection
from tests.node_agent.engine.embedding_files import EncoderModel
from tests.node_agent.library.conftest import write_gguf

Also = Callable[[gguf.GGUFWriter], None]


def described(path: Path, on_progress: Callable[[int], None] = lambda done: None) -> Description:
    line = checked(describe.describe([path], on_progress))
    assert line.description, line.rejection
    return line.description


def rejected(path: Path, on_progress: Callable[[int], None] = lambda done: None) -> Rejection:
    line = checked(describe.describe([path], on_progress))
    assert line.rejection, line.description
    return line.rejection


def checked(answer: describe.Answer) -> ChildLine:
    """Read an answer as the parent does."""
    return ChildLine.model_validate_json(json.dumps(answer))


def run_child(path: Path, *, memory_bytes: int = 0) -> ChildLine:
    child = subprocess.run(
        [sys.executable, "-m", describe.__name__, "--memory-bytes", str(memory_bytes), path],
        stdout=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    return ChildLine.model_validate_json(child.stdout.splitlines()[-1])


def test_a_model_file_says_what_it_is(models: Path) -> None:
    path = write_gguf(
        models / "a.gguf",
        name="Qwen2.5 0.5B",
        architecture="qwen2",
        context_tokens=32768,
        tensors=3,
    )
    description = described(path)
    assert description.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert description.size_bytes == path.stat().st_size
    assert description.name == "Qwen2.5 0.5B"
    assert description.architecture == "qwen2"
    assert description.parameters == 3 * 64
    assert description.quantisation == "Q8_0"
    assert description.context_tokens == 32768
    assert description.template_sha256 == hashlib.sha256(b"{{ messages }}").hexdigest()
    assert not description.test


def _shape(heads_kv: list[int] | int) -> Callable[[gguf.GGUFWriter], None]:
    def write(writer: gguf.GGUFWriter) -> None:
        writer.add_block_count(24)
        writer.add_embedding_length(896)
        writer.add_head_count(14)
        writer.add_head_count_kv(heads_kv)

    return write


def test_it_says_what_a_token_takes_in_the_cache(models: Path) -> None:
    known = write_gguf(models / "a.gguf", also=_shape(2))  # Qwen2.5 0.5B: 12 KiB
    assert described(known).shape.cache_bytes_per_token == 24 * 2 * (64 + 64) * 2
    by_layer = write_gguf(models / "b.gguf", also=_shape([2, 1, 2]))
    rows = 2 + 1 + 22 * 2  # the last number holds for layers that the list forgets
    assert described(by_layer).shape.cache_bytes_per_token == rows * (64 + 64) * 2
    assert described(write_gguf(models / "c.gguf")).shape.cache_bytes_per_token == 0


def test_a_test_model_says_its_tasks_and_an_example_of_each(models: Path) -> None:
    path = write_gguf(
        models / "a.gguf", test=True, tasks=["sum", "reverse"], examples=["1 + 1 = ?", "olleh"]
    )
    description = described(path)
    assert description.test
    assert description.tasks == ("sum", "reverse")
    assert description.examples == ("1 + 1 = ?", "olleh")


def test_a_specialist_says_its_domains_in_lower_case(models: Path) -> None:
    def also(writer: gguf.GGUFWriter) -> None:
        writer.add_array("deskmesh.domains", ["Security", *[f"d{n}" for n in range(20)]])

    assert described(write_gguf(models / "a.gguf", also=also)).domains[:2] == ("security", "d0")
    assert len(described(write_gguf(models / "a.gguf", also=also)).domains) == 8
    assert described(write_gguf(models / "b.gguf")).domains == ()


def test_a_file_without_a_template_has_no_template_hash(models: Path) -> None:
    assert described(write_gguf(models / "a.gguf", template="")).template_sha256 is None


@pytest.mark.parametrize(
    ("file_type", "quantisation"), [(0, "F32"), (15, "Q4_K_M"), (1024 + 7, "Q8_0"), (9999, "F32")]
)
def test_an_unknown_file_type_falls_back_to_the_commonest_tensor_type(
    models: Path, file_type: int, quantisation: str
) -> None:
    path = write_gguf(models / "a.gguf", file_type=file_type)
    assert described(path).quantisation == quantisation


def test_a_large_vocabulary_takes_little_memory(models: Path) -> None:
    """gguf's own reader takes 3.4 KB for each entry: 200 MB here, twice the limit."""
    path = write_gguf(models / "a.gguf", vocabulary=[f"token {number}" for number in range(60_000)])
    line = run_child(path, memory_bytes=100 << 20)
    assert line.description, line.rejection


def test_a_header_that_eats_memory_is_stopped_by_the_limit(models: Path) -> None:
    texts = struct.pack("<IIQ", 9, 8, 64) + bytes(8 * 64)
    keys = b"".join(struct.pack("<Q4s", 4, f"{n:04}".encode()) + texts for n in range(4_000))
    path = models / "a.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 4_000) + keys)
    line = run_child(path, memory_bytes=64 << 20)
    assert line.rejection
    assert "memory" in line.rejection.reason


@pytest.mark.parametrize(
    ("also", "said"),
    [
        (lambda writer: writer.add_type("adapter"), "LoRA adapter"),
        (lambda writer: writer.add_type("mmproj"), "projector"),
        (lambda writer: writer.add_type("imatrix"), "statistics"),
        (lambda writer: writer.add_uint16("split.count", 3), "3 files"),
        (lambda writer: writer.add_uint32("llama.pooling_type", 4), "embedding"),
        (lambda writer: writer.add_bool("llama.attention.causal", False), "embedding"),
    ],
)
def test_what_is_whole_but_no_chat_model_is_ignored_with_a_reason(
    models: Path, also: Also, said: str
) -> None:
    rejection = rejected(write_gguf(models / "a.gguf", also=also))
    assert rejection.fault is Fault.IGNORED
    assert said in rejection.reason


@pytest.mark.parametrize("pooling", [PoolingType.MEAN, PoolingType.CLS, PoolingType.LAST])
def test_a_model_that_pools_its_tokens_embeds(models: Path, pooling: PoolingType) -> None:
    path = write_gguf(models / "a.gguf", also=lambda writer: writer.add_pooling_type(pooling))
    assert described(path).embeds
    assert not described(write_gguf(models / "b.gguf")).embeds


def test_an_encoder_is_an_embedding_model(models: Path) -> None:
    description = described(EncoderModel().write(models / "a.gguf"))
    assert (description.architecture, description.embeds) == ("bert", True)


def test_a_vocabulary_without_weights_is_ignored(models: Path) -> None:
    rejection = rejected(write_gguf(models / "a.gguf", tensors=0))
    assert (rejection.fault, "without weights" in rejection.reason) == (Fault.IGNORED, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"GG", "not a GGUF file"),
        (b"GGUF", "not a GGUF file"),
        (b"<html>404 Not Found</html>" * 9, "not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "other byte order"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), "no model has"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), "no model has"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 9, 9),
            "truncated or damaged GGUF of 24 bytes; download it again",
        ),
    ],
)
def test_what_is_no_model_at_all_is_broken(models: Path, content: bytes, said: str) -> None:
    path = models / "a.gguf"
    path.write_bytes(content)
    rejection = rejected(path)
    assert rejection.fault is Fault.BROKEN
    assert said in rejection.reason


def test_a_model_that_names_no_context_is_broken(models: Path) -> None:
    rejection = rejected(write_gguf(models / "a.gguf", context_tokens=0))
    assert rejection.fault is Fault.BROKEN
    assert "context" in rejection.reason


@pytest.mark.parametrize("items", [1 << 25, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("item_type", [0, 8, 12])
def test_an_array_that_lies_about_its_length_is_no_work(
    models: Path, items: int, item_type: int
) -> None:
    lie = struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, item_type, items)
    path = models / "a.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + lie + bytes(4096))
    assert rejected(path).fault is Fault.BROKEN


def test_arrays_nested_beyond_reason_are_broken(models: Path) -> None:
    nested = struct.pack("<IQ", 9, 1) * 20_000
    path = models / "a.gguf"
    path.write_bytes(
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"a\x09\0\0\0" + nested
    )
    assert rejected(path).fault is Fault.BROKEN


@pytest.mark.parametrize(
    "also",
    [
        lambda writer: writer.add_string("general.file_type", "seven"),
        lambda writer: writer.add_float32("split.count", 1.5),
        lambda writer: writer.add_uint32("deskmesh.test_model", 1),
        lambda writer: writer.add_string("deskmesh.tasks", "sum"),
        lambda writer: writer.add_string("deskmesh.domains", "security"),
        lambda writer: writer.add_array("tokenizer.chat_template", ["a", "b"]),
    ],
)
def test_metadata_of_the_wrong_type_is_broken(models: Path, also: Also) -> None:
    path = write_gguf(models / "a.gguf", file_type=None, template="", also=also)
    assert rejected(path).fault is Fault.BROKEN


def test_what_a_file_says_at_length_is_cut(models: Path) -> None:
    path = write_gguf(
        models / "a.gguf", name="n" * 9999, tasks=["t" * 999] * 50, examples=["e" * 9999] * 50
    )
    description = described(path)
    assert (len(description.name), len(description.tasks), len(description.examples)) == (
        256,
        32,
        32,
    )
    assert len(description.tasks[0]) == 64
    assert len(description.examples[0]) == 400


def test_no_truncation_of_a_model_is_taken_for_a_model(models: Path) -> None:
    path = write_gguf(models / "a.gguf")
    content = path.read_bytes()
    for size_bytes in range(len(content)):
        path.write_bytes(content[:size_bytes])
        assert rejected(path).fault in {Fault.BROKEN, Fault.IGNORED}


@given(st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_flipped_bytes_give_a_description_or_a_reason_and_never_raise(
    models: Path, data: st.DataObject
) -> None:
    path = write_gguf(models / "a.gguf", tasks=["sum"], vocabulary=[str(n) for n in range(300)])
    content = bytearray(path.read_bytes())
    flips = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for place, byte in data.draw(st.lists(flips, min_size=1, max_size=8)):
        content[place] = byte
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    line = checked(describe.describe([path], lambda done: None))
    answer = line.description or line.rejection
    assert answer
    if isinstance(answer, Rejection):
        assert "\n" not in answer.reason


def test_a_long_file_tells_its_progress(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe, "BLOCK_BYTES", 100)
    monkeypatch.setattr(describe, "PROGRESS_EVERY_BYTES", 200)
    seen: list[int] = []
    path = write_gguf(models / "a.gguf")
    described(path, seen.append)
    assert seen == list(range(200, path.stat().st_size + 1, 200))


def test_a_file_that_changes_while_it_is_hashed_is_not_described(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describe, "BLOCK_BYTES", 100)
    monkeypatch.setattr(describe, "PROGRESS_EVERY_BYTES", 200)
    path = write_gguf(models / "a.gguf")
    calls: list[int] = []

    def touch(done_bytes: int) -> None:
        calls.append(done_bytes)
        os.utime(path, ns=(0, len(calls)))

    assert rejected(path, touch).fault is Fault.CHANGING
    assert len(calls) == 1  # the rest was not hashed for nothing


def test_a_file_that_is_gone_is_said_to_be_gone(models: Path) -> None:
    assert rejected(models / "a.gguf").fault is Fault.GONE


def test_a_missing_package_is_not_the_files_fault(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "node_agent.library.header", None)
    rejection = rejected(write_gguf(models / "a.gguf"))
    assert rejection.fault is Fault.AGAIN
    assert "pip install" in rejection.reason
