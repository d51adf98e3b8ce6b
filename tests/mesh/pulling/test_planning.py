"""What is chosen, from the catalogue and from a repository, and for which machine."""

from collections.abc import Sequence

import pytest

from mesh.cli.first_model import advice
from mesh.errors import InvalidRequest, ModelNotFound
from mesh.pulling.catalogue import entries, find
from mesh.pulling.fitting import Machine
from mesh.pulling.hub_files import HubFile, choose
from mesh.pulling.planning import plan, refuse_what_cannot_be
from mesh.pulling.reference import HubReference, read_reference
from mesh.pulling.speed import DECODING_SHARE, speed_in_words, tokens_per_s
from mesh.pulling.suggesting import best, suggestions

GB = 1_000_000_000
FILES = (
    HubFile("x-Q2_K.gguf", 1 * GB, "a" * 64),
    HubFile("x-Q4_K_M.gguf", 2 * GB, "b" * 64),
    HubFile("x-Q8_0.gguf", 4 * GB, "c" * 64),
    HubFile("x-F16.gguf", 8 * GB, "d" * 64),
)
SPLIT = (HubFile("x-Q8_0-00001-of-00002.gguf", 4 * GB), HubFile("x-Q8_0-00002-of-00002.gguf", GB))


def chosen(text: str, memory_gb: float = 16, files: Sequence[HubFile] = FILES) -> str:
    asked = read_reference(text)
    assert isinstance(asked, HubReference)
    return choose(asked, files, int(memory_gb * GB)).path


def test_without_a_quantisation_the_best_that_fits_is_taken() -> None:
    assert chosen("hf:a/b", 16) == "x-Q8_0.gguf", "F16 is twice the memory and hardly better"
    assert chosen("hf:a/b", 4) == "x-Q4_K_M.gguf"
    assert chosen("hf:a/b", 1) == "x-Q2_K.gguf", "the plan says that it does not fit"


def test_a_named_quantisation_or_file_is_that_one() -> None:
    assert chosen("hf:a/b:q4_k_m", 1) == "x-Q4_K_M.gguf"
    assert chosen("hf:a/b:F16") == "x-F16.gguf"
    assert chosen("hf:a/b/x-Q2_K.gguf") == "x-Q2_K.gguf"


def test_what_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(ModelNotFound) as refused:
        chosen("hf:a/b:Q5_K_M")
    assert "Q4_K_M (2.0 GB)" in refused.value.hint


def test_a_model_in_parts_is_one_choice_by_the_size_of_all() -> None:
    model = choose(HubReference("a/b", quantisation="Q8_0"), reversed(SPLIT), 16 * GB)
    assert (model.files, model.size_bytes, model.name) == (SPLIT, 5 * GB, "x-Q8_0")
    assert chosen("hf:a/b/x-Q8_0-00002-of-00002.gguf", files=SPLIT) == SPLIT[0].path
    files = (FILES[1], *SPLIT)
    assert chosen("hf:a/b", 16, files) == SPLIT[0].path
    assert chosen("hf:a/b", 5, files) == "x-Q4_K_M.gguf", "four of its five would fit"
    assert chosen("hf:a/b:Q8_0", 16, (*FILES, *SPLIT)) == "x-Q8_0.gguf", "one file rather than two"


def test_a_quantisation_that_two_models_have_is_not_chosen_between() -> None:
    files = (HubFile("a-Q4_K_M.gguf", GB), HubFile("b-Q4_K_M.gguf", 2 * GB))
    with pytest.raises(InvalidRequest, match="2 models in Q4_K_M: a-Q4_K_M") as refused:
        chosen("hf:a/b:Q4_K_M", files=files)
    assert "hf:a/b/a-Q4_K_M.gguf" in refused.value.hint
    with pytest.raises(ModelNotFound) as missing:
        chosen("hf:a/b:Q5_K_M", files=files)
    assert "a-Q4_K_M.gguf (1.0 GB)" in missing.value.hint, "by what tells them apart"


def test_a_model_of_which_parts_are_missing_is_told() -> None:
    with pytest.raises(InvalidRequest, match="has 1 of the 2 parts of x-Q8_0"):
        chosen("hf:a/b:Q8_0", files=SPLIT[1:])


def test_every_entry_of_the_catalogue_is_whole_and_found_by_each_of_its_names() -> None:
    known = entries()
    assert 8 <= len(known) <= 15
    names = [name for each in known for name in (each.name, *each.names)]
    assert len(names) == len(set(names))
    assert all(find(name.upper()) for name in names)
    assert {each.kind for each in known} == {"general", "code", "embedding"}
    assert len({each.sha256 for each in known}) == len(known)


def test_a_catalogue_name_needs_no_question_and_keeps_the_hub_that_was_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    monkeypatch.setenv("HF_TOKEN", "secret")
    source = plan(read_reference("qwen3:4b"), name="", sha256="", memory_bytes=16 * GB)
    assert source.name == "qwen3-4b"
    (file,) = source.parts
    assert file.url.startswith("https://mirror.example/Qwen/Qwen3-4B-GGUF/resolve/bc640142")
    assert file.token == "secret"
    assert source.size_bytes == 2_497_280_256
    with pytest.raises(InvalidRequest, match="not 0000"):
        plan(read_reference("qwen3:4b"), name="", sha256="0" * 64, memory_bytes=GB)
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example")
    with pytest.raises(InvalidRequest, match="HF_ENDPOINT"):
        plan(read_reference("qwen3:4b"), name="", sha256="", memory_bytes=GB)


def test_a_name_that_nobody_knows_is_told_with_those_that_are() -> None:
    with pytest.raises(ModelNotFound, match="no-such-model"):
        plan(read_reference("no-such-model"), name="", sha256="", memory_bytes=GB)


@pytest.mark.parametrize(
    ("memory_gb", "disk_gb", "why"),
    [(2, 100, "of memory"), (2, 1, "of memory"), (16, 3, "of disk"), (16, 100, "")],
)
def test_memory_and_disk_are_checked_before(memory_gb: int, disk_gb: int, why: str) -> None:
    wanted = plan(read_reference("qwen3-4b"), name="", sha256="", memory_bytes=GB)
    assert wanted.size_bytes is not None
    machine = Machine(memory_gb * GB, disk_gb * GB)
    if not why:
        refuse_what_cannot_be(wanted.name, wanted.size_bytes, machine, here_bytes=0)
        return
    with pytest.raises(InvalidRequest, match=why) as refused:
        refuse_what_cannot_be(wanted.name, wanted.size_bytes, machine, here_bytes=0)
    assert ("suggest" in refused.value.hint) == ("memory" in why), "space would not help"
    if "disk" in why:
        refuse_what_cannot_be(wanted.name, wanted.size_bytes, machine, here_bytes=2 * GB)


@pytest.mark.parametrize(
    ("memory_gb", "name"),
    [(64, "qwen3-30b-a3b"), (16, "qwen3-8b"), (8, "qwen3-4b"), (1.5, "qwen3-0.6b")],
)
def test_each_machine_is_told_what_suits_it(memory_gb: float, name: str) -> None:
    machine = Machine(int(memory_gb * GB), 100 * GB)
    suggestion = best(entries(), machine)
    assert suggestion is not None
    assert suggestion.entry.name == name
    assert f"pull {name}`" in advice(machine, "deskmesh")


@pytest.mark.parametrize(
    ("memory_gb", "read_gb_per_s", "name"),
    [
        (64, 60, "qwen3-30b-a3b"),  # of its experts a token reads a ninth
        (32, 25, "gpt-oss-20b"),
        (32, 10, "smollm2-1.7b"),  # the largest that fits would write a token in three seconds
        (16, 25, "qwen3-4b"),
        (16, 60, "qwen3-8b"),
        (16, 1, "qwen3-0.6b"),  # none is quick enough: the quickest
    ],
)
def test_a_processor_is_told_of_a_model_that_writes_as_fast_as_one_reads(
    memory_gb: int, read_gb_per_s: int, name: str
) -> None:
    machine = Machine(memory_gb * GB, 100 * GB, read_gb_per_s * GB)
    suggestion = best(entries(), machine)
    assert suggestion is not None
    assert (suggestion.entry.name, suggestion.usable) == (name, read_gb_per_s > 1)
    assert "a second, licence" in advice(machine, "deskmesh")


def test_a_token_needs_every_weight_once_but_of_experts_a_few() -> None:
    assert tokens_per_s(2e9, 20e9) == pytest.approx(10 * DECODING_SHARE)
    dense, sparse = find("qwen3-14b"), find("qwen3-30b-a3b")
    assert dense is not None
    assert sparse is not None
    assert sparse.size_bytes > dense.size_bytes
    assert sparse.active_bytes < dense.active_bytes / 3
    assert speed_in_words(5.6) == "about 6 tokens a second"
    assert speed_in_words(0.4) == "less than a token a second"


def test_what_does_not_fit_is_told_with_its_reason_and_comes_last() -> None:
    judged = suggestions(entries(), Machine(8 * GB, 100 * GB))
    fitting = [each.fits for each in judged]
    assert fitting == sorted(fitting, reverse=True)
    assert all(bool(each.why_not) != each.fits for each in judged)


def test_a_machine_too_small_for_any_is_told_why() -> None:
    assert "Test models only" in advice(Machine(GB // 2, 100 * GB), "deskmesh")
    assert "of memory" in advice(Machine(GB // 2, 100 * GB), "deskmesh")
    assert "of disk" in advice(Machine(16 * GB, 0), "deskmesh")


def test_what_only_embeds_is_suggested_after_all_that_answers() -> None:
    slow = Machine(8 * GB, 100 * GB, read_bytes_per_s=0.1 * GB)
    kinds = [each.entry.kind for each in suggestions(entries(), slow) if each.fits]
    assert "general" in kinds
    assert kinds == sorted(kinds, key="embedding".__eq__)
