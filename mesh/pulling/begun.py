"""What there is of a pull that has not come to its end, of a model in one file or in parts.

The parts of ``NAME`` come into the hidden folder ``.NAME.parts``, each under its own name. Once all
are right the folder is renamed to ``NAME``: a model in parts is whole in one step, or not there.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from mesh.pulling.partial import Partial
from mesh.pulling.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Begun:
    """The pull of one name into one folder."""

    folder: Path
    name: str

    @property
    def file(self) -> Path:
        """The hidden file of a model in one file."""
        return self._only.file

    @property
    def parts_folder(self) -> Path:
        """The hidden folder of a model in parts."""
        return self.folder / f".{self.name}.parts"

    def partials(self, wanted: Wanted) -> tuple[Partial, ...]:
        """Return where each part of ``wanted`` is kept until all are here, in order."""
        if not wanted.is_split:
            return (self._only,)
        return tuple(Partial.of_part(self.parts_folder, part.name) for part in wanted.parts)

    def done_bytes(self, wanted: Wanted) -> int:
        """Return how much of ``wanted`` is on the disk already, as far as was written down."""
        states = [partial.read() for partial in self.partials(wanted)]
        return sum(state.done_bytes for state in states if state is not None)

    def keep_only(self, wanted: Wanted) -> None:
        """Remove what another model of that name, in other parts, has left in the folder."""
        ours = {path for part in self.partials(wanted) for path in (part.file, part.state_file)}
        for path in self.parts_folder.glob("*"):
            if path not in ours:
                path.unlink(missing_ok=True)

    def left(self) -> Path | None:
        """Return what a pull that has not ended left, if there is anything."""
        return next((each for each in (self.file, self.parts_folder) if each.exists()), None)

    def remove(self) -> None:
        """Forget all of it."""
        self._only.remove()
        if self.parts_folder.exists():
            shutil.rmtree(self.parts_folder)

    @property
    def _only(self) -> Partial:
        return Partial.of_file(self.folder, self.name)
