"""Where one file comes from, and what is known of it before it is here."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Source:
    """One file to fetch: a model, or a part of one."""

    url: str
    name: str  # what the file is called here, without its suffix
    origin: str  # as it is noted and shown: never with a query, which may hold a signature
    size_bytes: int | None = None  # None: whatever the server says
    sha256: str = ""  # "": nobody has said
    validator: str = ""  # what its server says of it now: ETag or date; "": nobody has asked
    token: str = ""  # sent to the host of ``url`` and to no other

    @property
    def host(self) -> str:
        return (urlsplit(self.url).hostname or "").lower()

    def __repr__(self) -> str:
        return f"Source({self.origin!r}, {self.name!r})"  # never the token
