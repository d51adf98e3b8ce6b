"""What an owner says of a model file survives its way through the file beside it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.model_note import NOTE_BYTES_MAX, BrokenNote, ModelNote, note_of, read_note

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)


@given(st.text(st.characters(codec="utf-8"), max_size=96), st.lists(words, max_size=8))
def test_a_note_reads_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, name: str, domains: list[str]
) -> None:
    path = tmp_path_factory.mktemp("notes") / "a.deskmesh.toml"
    path.write_text(ModelNote(name=name, domains=tuple(domains)).write(), encoding="utf-8")
    assert read_note(path) == ModelNote(name=name, domains=tuple(map(str.lower, domains)))


def test_a_note_lies_beside_its_file() -> None:
    assert note_of(Path("/models/a.b.GGUF")) == Path("/models/a.b.deskmesh.toml")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("domains = 3", "domains"),
        ("domain = ['x']", "domain"),
        ("domains = [", "not valid TOML"),
        ("# " + "x" * NOTE_BYTES_MAX, "longer than"),
    ],
)
def test_what_is_wrong_with_a_note_is_said(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "a.deskmesh.toml"
    path.write_text(content)
    with pytest.raises(BrokenNote, match=says):
        read_note(path)
    with pytest.raises(BrokenNote, match="no such file"):
        read_note(tmp_path / "none.toml")
