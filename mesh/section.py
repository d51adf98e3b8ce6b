"""What every table of an operator's files is: frozen, and a misspelt key in it is an error."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One table of a settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
