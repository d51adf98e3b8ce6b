"""Puts a model in parts into this machine's own folder, or takes it away: in one step each.

Its parts are in a folder of their own, and a hidden one is none that a library looks into. So the
step is the folder's new name.
"""

import os
import shutil
from pathlib import Path

from mesh.cli.model_putting import in_words, sync, taken, write_note
from mesh.errors import InvalidRequest
from mesh.model_note import ModelNote
from mesh.own_folder import OwnModel
from mesh.pulling.begun import Begun

_STATES = ".*.json*"  # of the parts while they came


def take_over_parts(begun: Begun, files: tuple[Path, ...], note: ModelNote) -> Path:
    """Give the parts in a pull's hidden folder their note, and the folder its name; return it.

    Raises:
        InvalidRequest: the name is another model's, or it cannot be written.
    """
    target = begun.folder / begun.name
    try:
        if target.exists():
            raise taken(target)
        write_note(note, files[0])
        sync(begun.parts_folder)
        os.rename(begun.parts_folder, target)
        forget_states(target)
        sync(begun.folder)
    except OSError as failure:
        raise in_words(failure, begun.folder) from None
    return target


def forget_states(folder: Path) -> None:
    """Remove what was known of the parts while they came; nobody asks it any more."""
    for file in folder.glob(_STATES):
        file.unlink(missing_ok=True)


def take_away_parts(model: OwnModel) -> Path:
    """Remove a model in parts, and return the folder that it had.

    Raises:
        InvalidRequest: its owner has put it there otherwise, or keeps other files with it.
    """
    folder = model.files[0].parent
    try:
        known = {*model.files, model.note, *folder.glob(_STATES)}
        if others := sorted(each.name for each in folder.iterdir() if each not in known):
            raise InvalidRequest(
                f"{folder} holds {others[0]} as well, which no pull has put there",
                hint="move it, and try again",
            )
        begun = Begun(folder.parent, model.name)
        begun.remove()
        os.rename(folder, begun.parts_folder)  # from here on it is a pull that nobody wants
        shutil.rmtree(begun.parts_folder)
    except OSError as failure:
        raise in_words(failure, folder) from None
    return folder
