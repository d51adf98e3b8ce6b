"""A model in parts is one download: each part resumed and verified, given away as a whole."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mesh.errors import InvalidRequest, MeshError, ModelNotFound
from mesh.pulling.fetching import FetchedModel, fetch_model
from mesh.pulling.pace import Pace
from mesh.pulling.planning import plan
from mesh.pulling.reference import UrlReference
from mesh.pulling.wanted import Wanted
from tests.mesh.pulling.fetching import QUICK, Kept
from tests.mesh.pulling.server import Behaviour, FileServer, serving

PARTS = [random.Random(seed).randbytes(size) for seed, size in ((1, 90_000), (2, 70_000), (3, 9))]
WHOLE = b"".join(PARTS)
NAMES = [f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(Behaviour(b"", files=dict(zip(paths(), PARTS, strict=True)))) as running:
        yield running


def paths() -> list[str]:
    return [f"/{name}" for name in NAMES]


def named(server: FileServer, which: int = 0, sha256: str = "") -> Wanted:
    url = server.url.replace("tiny.gguf", NAMES[which])
    return plan(UrlReference(url), name="", sha256=sha256, memory_bytes=1 << 40)


@dataclass
class Pull:
    """Pulls one model into one folder, again and again."""

    folder: Path
    wanted: Wanted
    watcher: Kept = field(default_factory=Kept)
    sizes: list[int] = field(default_factory=list)
    pace: Pace = QUICK

    def go(self) -> FetchedModel:
        return fetch_model(
            self.wanted,
            self.folder,
            self.watcher,
            pace=self.pace,
            wait=lambda _: None,
            on_size=self.sizes.append,
        )

    def refused(self) -> MeshError:
        with pytest.raises(MeshError) as refusal:
            self.go()
        return refusal.value


@pytest.mark.parametrize("which", [0, 2])
def test_the_address_of_any_part_brings_all_in_order(
    server: FileServer, tmp_path: Path, which: int
) -> None:
    pull = Pull(tmp_path, named(server, which))
    model = pull.go()
    assert [file.name for file in model.files] == NAMES
    assert b"".join(file.read_bytes() for file in model.files) == WHOLE
    assert model.sha256 == hashlib.sha256(WHOLE).hexdigest()
    assert pull.sizes == [len(WHOLE)], "the size of all, once, before the first byte"
    assert pull.watcher.progress[-1] == (len(WHOLE), len(WHOLE))
    assert pull.watcher.progress == sorted(pull.watcher.progress), "one progress, not three"
    assert [each.name for each in tmp_path.iterdir()] == [".big.parts"], "no library looks there"


def test_a_second_process_goes_on_in_the_part_where_the_first_died(
    server: FileServer, tmp_path: Path
) -> None:
    server.how.cut_after = [1, 1, 1, 90_000, 30_000, 0, 0]  # three sizes, then the parts
    pull = Pull(tmp_path, named(server))
    assert "resume" in pull.refused().hint
    server.how.cut_after, server.how.asked[:] = [], []
    model = pull.go()
    assert model.resumed_bytes == 120_000
    assert model.sha256 == hashlib.sha256(WHOLE).hexdigest()
    assert server.how.asked == [*paths(), *paths()[1:]], "of the first its size alone"
    assert server.how.seen[-2]["range"] == "bytes=30000-"


def test_a_part_that_is_wrong_costs_the_others_nothing(server: FileServer, tmp_path: Path) -> None:
    wanted = named(server)
    known = [
        replace(part, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        for part, content in zip(wanted.parts, PARTS, strict=True)
    ]
    pull = Pull(tmp_path, replace(wanted, parts=tuple(known)))
    server.how.files[paths()[1]] = bytes(70_000)
    assert "sha256" in pull.refused().message
    server.how.files[paths()[1]] = PARTS[1]
    server.how.asked.clear()
    assert pull.go().sha256 == hashlib.sha256(WHOLE).hexdigest()
    assert server.how.asked == paths()[1:]


def test_parts_that_are_not_the_model_that_was_meant_are_thrown_away(
    server: FileServer, tmp_path: Path
) -> None:
    right = Pull(tmp_path, named(server, sha256=hashlib.sha256(WHOLE).hexdigest()))
    assert right.go().size_bytes == len(WHOLE)
    wrong = Pull(tmp_path, named(server, sha256="0" * 64))
    assert isinstance(refusal := wrong.refused(), InvalidRequest)
    assert "of its 3 parts" in refusal.message
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_not_there_is_told_before_a_byte(server: FileServer, tmp_path: Path) -> None:
    del server.how.files[paths()[2]]
    pull = Pull(tmp_path, named(server))
    assert isinstance(refusal := pull.refused(), ModelNotFound)
    assert NAMES[2] in refusal.message
    assert pull.watcher.progress == []


def test_a_part_that_changed_on_the_server_is_fetched_again(
    server: FileServer, tmp_path: Path
) -> None:
    pull = Pull(tmp_path, named(server))
    pull.go()
    server.how.etag = '"two"'
    server.how.files = dict.fromkeys(paths(), b"others")
    assert pull.go().sha256 == hashlib.sha256(b"others" * 3).hexdigest()


def test_parts_of_another_model_that_had_the_name_do_not_stay(
    server: FileServer, tmp_path: Path
) -> None:
    hidden = tmp_path / ".big.parts"
    hidden.mkdir()
    (hidden / "big-00001-of-00002.gguf").write_bytes(b"of another")
    (hidden / ".big-00001-of-00002.gguf.json").write_bytes(b"{}")
    Pull(tmp_path, named(server)).go()
    names = sorted(each.name for each in hidden.iterdir())
    assert names == [*(f".{name}.json" for name in NAMES), *NAMES]


def test_an_address_that_numbers_parts_wrongly_is_refused() -> None:
    for name in ("x-00004-of-00003.gguf", "x-00000-of-00003.gguf", "x-00001-of-99999.gguf"):
        wrong = UrlReference(f"https://example.com/{name}")
        with pytest.raises(InvalidRequest, match="no part"):
            plan(wrong, name="", sha256="", memory_bytes=1)
    one = UrlReference("https://example.com/x-00001-of-00001.gguf")
    assert plan(one, name="", sha256="", memory_bytes=1).name == "x"
