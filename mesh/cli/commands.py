"""The groups of commands, and how they speak of wrong usage."""

from typing import Any

import typer
from typer.core import TyperGroup

_READERS_WORDS = "Value error, "  # pydantic's, which reads what was given: nothing to a person


class Commands(TyperGroup):
    """A group whose complaints are ours alone; whatever is within the outermost is heard there."""

    def invoke(self, ctx: Any) -> Any:
        """Raises what the commands raise, with the words of whoever reads options left out."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as wrong:
            wrong.message = wrong.message.removeprefix(_READERS_WORDS)
            raise
