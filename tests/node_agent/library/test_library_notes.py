"""What an owner adds is noticed soon, with what the owner says of it."""

from contextlib import aclosing
from pathlib import Path

from node_agent.library.catalogue import Library
from node_agent.library.folder import FolderSource
from tests.node_agent.library.conftest import write_gguf
from tests.node_agent.library.test_library_catalogue import Reader, next_view, view_where


async def test_what_comes_into_the_own_folder_is_noticed_long_before_the_next_look(
    models: Path, tmp_path: Path
) -> None:
    reader = Reader()
    library = Library(
        [FolderSource(models)],
        tmp_path / "library.json",
        describe=reader,
        look_every_s=600,
        glanced_at=models,
    )
    async with aclosing(library.changes()) as views:
        await next_view(views)
        write_gguf(models / "a.gguf")
        view = await view_where(views, lambda view: len(view.entries) == 1)
        assert view.entries[0].model.domains == ()
        (models / "a.deskmesh.toml").write_text('domains = ["networking"]\n')
        view = await view_where(views, lambda view: bool(view.entries[0].model.domains))
    assert view.entries[0].model.domains == ("networking",)
    assert reader.read == ["a.gguf"], "a note costs no reading"
