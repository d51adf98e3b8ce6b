"""What LM Studio, the Hugging Face cache and llama.cpp's cache hold, and by which names."""

import json
import shutil
from pathlib import Path

import pytest

from mesh.model_note import part_name
from node_agent.library.catalogue import Library
from node_agent.library.found import Findings, Source
from node_agent.library.hugging_face import HuggingFaceSource, hugging_face_cache
from node_agent.library.llama_cpp_cache import LlamaCppCacheSource, llama_cpp_cache
from node_agent.library.lm_studio import LmStudioSource, lm_studio_folders
from node_agent.library.ollama import OllamaSource
from node_agent.library.quantisations import quantisation_in
from tests.node_agent.library.conftest import write_gguf
from tests.node_agent.library.stores import REVISION, HubCache, OllamaStore, library
from tests.node_agent.library.test_library_folder import put

OLDER = "f" * 40


def names(findings: Findings) -> dict[str, tuple[str, ...]]:
    return {file.path.name: file.names for file in findings.files}


@pytest.fixture
def hub(tmp_path: Path) -> HubCache:
    return HubCache(tmp_path / "hub")


@pytest.mark.parametrize(
    ("stem", "quantisation"),
    [
        ("Qwen2.5-7B-Instruct-Q4_K_M", "Q4_K_M"),
        ("qwen2-0_5b-instruct-q8_0", "Q8_0"),
        ("gemma-3-27b-it-UD-IQ2_XXS", "UD-IQ2_XXS"),
        ("model.f16", "F16"),
        ("gpt-oss-20b-MXFP4", "MXFP4"),
        ("bitnet-TQ2_0", "TQ2_0"),
        ("Qwen3-8B", ""),
        ("my-model-v2", ""),
        ("q", ""),
    ],
)
def test_the_quantisation_ends_a_files_name(stem: str, quantisation: str) -> None:
    assert quantisation_in(stem) == quantisation


class TestLmStudio:
    def test_a_model_is_known_by_its_key_and_its_file(self, models: Path) -> None:
        put(models / "qwen" / "Qwen2.5-7B-Instruct-GGUF" / "qwen2.5-7b-instruct-q4_k_m.gguf")
        (file,) = LmStudioSource(models).find().files
        assert file.names == ("qwen2.5-7b-instruct", "qwen2.5-7b-instruct@q4_k_m")
        assert file.aliases == ("qwen2.5-7b-instruct-q4_k_m",)
        assert file.origin == "LM Studio"

    def test_two_quantisations_are_told_apart_under_one_alias(self, models: Path) -> None:
        put(models / "qwen" / "Qwen3-8B-GGUF" / "Qwen3-8B-Q4_K_M.gguf")
        put(models / "qwen" / "Qwen3-8B-GGUF" / "Qwen3-8B-Q8_0.gguf")
        put(models / "qwen" / "Qwen3-8B-GGUF" / "mmproj-Qwen3-8B-Q8_0.gguf")
        assert names(LmStudioSource(models).find()) == {
            "Qwen3-8B-Q4_K_M.gguf": ("qwen3-8b@q4_k_m", "qwen3-8b"),
            "Qwen3-8B-Q8_0.gguf": ("qwen3-8b@q8_0", "qwen3-8b"),
            "mmproj-Qwen3-8B-Q8_0.gguf": (),
        }

    def test_a_download_is_no_model(self, models: Path) -> None:
        put(models / "a" / "b" / "downloading_c-Q8_0.gguf")
        put(models / "a" / "b" / "c-Q8_0.gguf.part")
        assert LmStudioSource(models).find() == Findings()

    def test_its_home_is_where_its_pointer_leads_or_its_owner_chose(self, tmp_path: Path) -> None:
        usual = (tmp_path / ".lmstudio" / "models", tmp_path / ".cache" / "lm-studio" / "models")
        assert lm_studio_folders(tmp_path) == usual
        home = tmp_path / "elsewhere"
        (tmp_path / ".lmstudio-home-pointer").write_text(f"{home}\n")
        assert lm_studio_folders(tmp_path) == (home / "models", *usual)
        home.mkdir()
        (home / "settings.json").write_text(json.dumps({"downloadsFolder": "/big/models"}))
        assert lm_studio_folders(tmp_path) == (Path("/big/models"), *usual)

    @pytest.mark.parametrize("bad", [b"relative/home", b"", b"/a\0b", b"\xff", b"/" * 10_000])
    def test_a_broken_pointer_is_none(self, tmp_path: Path, bad: bytes) -> None:
        (tmp_path / ".lmstudio-home-pointer").write_bytes(bad)
        assert len(lm_studio_folders(tmp_path)) == 2

    @pytest.mark.parametrize("bad", ["[]", "{", "[" * 100_000, '{"downloadsFolder": 3}'])
    def test_broken_settings_choose_nothing(self, tmp_path: Path, bad: str) -> None:
        (tmp_path / ".lmstudio").mkdir()
        (tmp_path / ".lmstudio" / "settings.json").write_text(bad)
        assert lm_studio_folders(tmp_path)[0] == tmp_path / ".lmstudio" / "models"


class TestHuggingFace:
    def test_a_file_is_known_by_repository_and_quantisation(
        self, hub: HubCache, tmp_path: Path
    ) -> None:
        model = write_gguf(tmp_path / "m.gguf")
        path = hub.download("bartowski/Qwen3-8B-GGUF", "Qwen3-8B-Q4_K_M.gguf", model)
        findings = HuggingFaceSource(hub.root).find()
        (file,) = findings.files
        assert file.path == path
        assert file.names == ("bartowski/Qwen3-8B-GGUF:Q4_K_M", "bartowski/Qwen3-8B-GGUF")
        assert file.claimed_sha256 == path.readlink().name
        assert (file.origin, findings.problems) == ("Hugging Face", ())

    def test_an_older_revision_does_not_answer_to_the_plain_name(
        self, hub: HubCache, tmp_path: Path
    ) -> None:
        old, new = (write_gguf(tmp_path / f"{seed}.gguf", seed=seed) for seed in (1, 2))
        hub.download("a/b", "b-Q8_0.gguf", new)
        hub.download("a/b", "b-Q8_0.gguf", old, revision=OLDER, ref=REVISION)
        found = {f.path.parent.name: f.names for f in HuggingFaceSource(hub.root).find().files}
        assert found == {
            REVISION: ("a/b:Q8_0", "a/b"),
            OLDER: ("a/b@ffffffff:Q8_0", "a/b@ffffffff"),
        }

    def test_different_models_of_one_repository_share_no_name(
        self, hub: HubCache, tmp_path: Path
    ) -> None:
        model = write_gguf(tmp_path / "m.gguf")
        for name in ("small-Q8_0.gguf", "large-Q8_0.gguf"):
            hub.download("a/b", name, model)
        assert names(HuggingFaceSource(hub.root).find()) == {
            "small-Q8_0.gguf": (),
            "large-Q8_0.gguf": (),
        }

    async def test_a_model_in_parts_is_loaded_by_its_name_in_the_snapshot(
        self, hub: HubCache, models: Path, tmp_path: Path
    ) -> None:
        write_gguf(models / "big-Q8_0.gguf", tensors=4, split_max_tensors=2)
        for number in (1, 2):
            name = part_name("big-Q8_0", number, 2)
            hub.download("a/Big-GGUF", f"Q8_0/{name}", models / name)
        known = Library([HuggingFaceSource(hub.root)], tmp_path / "cache.json")
        (entry,) = (await known.complete()).entries
        assert entry.model.name == "a/Big-GGUF:Q8_0"
        path = known.file_of(entry.model.model_id)
        assert path is not None
        assert path.name == "big-Q8_0-00001-of-00002.gguf"

    def test_a_snapshot_of_copies_is_served_without_a_claim(
        self, hub: HubCache, tmp_path: Path
    ) -> None:
        path = hub.download("a/b", "b-Q8_0.gguf", write_gguf(tmp_path / "m.gguf"))
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        (file,) = HuggingFaceSource(hub.root).find().files
        assert (file.names[0], file.claimed_sha256) == ("a/b:Q8_0", "")

    async def test_a_damaged_blob_is_never_served(self, hub: HubCache, tmp_path: Path) -> None:
        path = hub.download("a/b", "b-Q8_0.gguf", write_gguf(tmp_path / "m.gguf"))
        write_gguf(path, seed=9)
        view = await Library([HuggingFaceSource(hub.root)], tmp_path / "cache.json").complete()
        assert view.entries == ()
        assert "not what Hugging Face says it is" in view.problems[0].reason

    def test_a_link_to_a_blob_that_is_gone_is_a_problem(
        self, hub: HubCache, tmp_path: Path
    ) -> None:
        path = hub.download("a/b", "b-Q8_0.gguf", write_gguf(tmp_path / "m.gguf"))
        blob = path.resolve()
        blob.rename(blob.with_name(f"{blob.name}.incomplete"))
        (problem,) = HuggingFaceSource(hub.root).find().problems
        assert "a link to a file that is gone" in problem.reason

    @pytest.mark.parametrize("ref", ["../../../etc", "", "main", OLDER, "x" * 1_000])
    def test_a_broken_ref_leaves_the_only_snapshot_current(
        self, hub: HubCache, tmp_path: Path, ref: str
    ) -> None:
        hub.download("a/b", "b-Q8_0.gguf", write_gguf(tmp_path / "m.gguf"))
        (hub.root / "models--a--b" / "refs" / "main").write_text(ref)
        assert names(HuggingFaceSource(hub.root).find()) == {"b-Q8_0.gguf": ("a/b:Q8_0", "a/b")}

    def test_a_link_in_a_circle_hides_no_repository(self, hub: HubCache, tmp_path: Path) -> None:
        hub.download("a/b", "b-Q8_0.gguf", write_gguf(tmp_path / "m.gguf"))
        (hub.root / "models--a--loop").symlink_to("models--a--loop")
        assert list(names(HuggingFaceSource(hub.root).find())) == ["b-Q8_0.gguf"]

    def test_what_is_no_repository_of_models_is_not_looked_at(self, hub: HubCache) -> None:
        put(hub.root / "datasets--a--b" / "snapshots" / REVISION / "a.gguf")
        put(hub.root / "models--a--b" / "blobs" / "a.gguf")
        assert HuggingFaceSource(hub.root).find() == Findings()

    def test_its_place_follows_the_hubs_variables(self, tmp_path: Path) -> None:
        told = [{}, {"XDG_CACHE_HOME": "/x"}, {"HF_HOME": "/h", "XDG_CACHE_HOME": "/x"}]
        told += [{"HF_HUB_CACHE": "/c", "HF_HOME": "/h"}]
        assert [hugging_face_cache(tmp_path, each) for each in told] == [
            tmp_path / ".cache" / "huggingface" / "hub",
            Path("/x/huggingface/hub"),
            Path("/h/hub"),
            Path("/c"),
        ]


class TestLlamaCpp:
    def test_a_file_is_known_as_it_was_asked_for(self, models: Path) -> None:
        put(models / "ggml-org_Qwen3-8B-GGUF_Qwen3-8B-Q4_K_M.gguf")
        put(models / "ggml-org_Qwen3-8B-GGUF_mmproj-Qwen3-8B.gguf")
        put(models / "ai_smollm2_latest.gguf")
        (models / "manifest=ggml-org=Qwen3-8B-GGUF=latest.json").write_text("not read")
        by_name = {file.path.name: file for file in LlamaCppCacheSource(models).find().files}
        known = by_name["ggml-org_Qwen3-8B-GGUF_Qwen3-8B-Q4_K_M.gguf"]
        assert known.names == ("ggml-org/Qwen3-8B-GGUF:Q4_K_M", "ggml-org/Qwen3-8B-GGUF")
        assert known.aliases[0] == "Qwen3-8B-Q4_K_M"
        assert by_name["ai_smollm2_latest.gguf"].names == ()
        assert by_name["ggml-org_Qwen3-8B-GGUF_mmproj-Qwen3-8B.gguf"].names == ()
        assert {file.origin for file in by_name.values()} == {"llama.cpp"}

    def test_its_place_follows_llama_cpp(self, tmp_path: Path) -> None:
        assert llama_cpp_cache(tmp_path, {"LLAMA_CACHE": "/elsewhere"}) == Path("/elsewhere")
        assert llama_cpp_cache(tmp_path, {"XDG_CACHE_HOME": "/x"}).name == "llama.cpp"


async def test_a_file_of_two_stores_is_one_model_by_the_names_of_both(
    hub: HubCache, models: Path, tmp_path: Path
) -> None:
    model = write_gguf(tmp_path / "m.gguf", name="Qwen3 8B")
    store = OllamaStore(tmp_path / "ollama")
    store.pull(library("qwen3:8b"), model)
    folder = models / "bartowski" / "Qwen3-8B-GGUF"
    folder.mkdir(parents=True)
    blob = OllamaSource(store.root).find().files[0].path
    (folder / "Qwen3-8B-Q8_0.gguf").symlink_to(blob)  # as people link models between tools
    shutil.copy(model, hub.download("bartowski/Qwen3-8B-GGUF", "Qwen3-8B-Q8_0.gguf", model))
    sources: list[Source] = [
        OllamaSource(store.root),
        LmStudioSource(models),
        HuggingFaceSource(hub.root),
    ]
    (entry,) = (await Library(sources, tmp_path / "cache.json").complete()).entries
    assert entry.model.name == "qwen3:8b"
    assert {"qwen3-8b", "bartowski/Qwen3-8B-GGUF:Q8_0"} <= set(entry.model.names)
    assert entry.origins == ("Ollama", "LM Studio", "Hugging Face")


async def test_two_quantisations_are_two_identities_under_one_alias(
    tmp_path: Path,
) -> None:
    store = OllamaStore(tmp_path / "ollama")
    for tag, file_type, seed in (("8b", 15, 1), ("8b-q8_0", 7, 2)):
        model = write_gguf(
            tmp_path / f"{tag}.gguf", name="Qwen3 8B", file_type=file_type, seed=seed
        )
        store.pull(library(f"qwen3:{tag}"), model)
    view = await Library([OllamaSource(store.root)], tmp_path / "cache.json").complete()
    assert {entry.model.name: entry.model.identity.quantisation for entry in view.entries} == {
        "qwen3:8b": "Q4_K_M",
        "qwen3:8b-q8_0": "Q8_0",
    }
    first, second = (set(entry.model.names) for entry in view.entries)
    assert first & second == {"qwen3-8b"}


async def test_a_projector_is_said_to_belong_to_the_model_beside_it(
    models: Path, tmp_path: Path
) -> None:
    folder = models / "a" / "Gemma-GGUF"
    folder.mkdir(parents=True)
    write_gguf(folder / "gemma-Q8_0.gguf", name="Gemma")
    write_gguf(folder / "mmproj-gemma.gguf", also=lambda writer: writer.add_type("mmproj"))
    view = await Library([LmStudioSource(models)], tmp_path / "cache.json").complete()
    (problem,) = view.problems
    assert problem.ignored
    assert problem.reason.endswith("it belongs to gemma beside it")


async def test_one_file_by_two_ways_keeps_the_names_of_both(hub: HubCache, tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "m.gguf", name="")
    hub.download("a/b", "b-Q8_0.gguf", model)
    sources = [HuggingFaceSource(hub.root, "llama.cpp"), HuggingFaceSource(hub.root)]
    (entry,) = (await Library(sources, tmp_path / "cache.json").complete()).entries
    assert entry.model.names == ("a/b:Q8_0", "a/b", "b-Q8_0")
    assert len(entry.files) == 1
