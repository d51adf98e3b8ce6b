"""What a person may write to name a model that is elsewhere.

``hf:owner/repo:Q4_K_M``, ``hf:owner/repo`` and ``hf:owner/repo/file.gguf`` name a repository of
Hugging Face, as do addresses of a file there (``https://huggingface.co/owner/repo/resolve/...``,
the form in https://huggingface.co/docs/hub/models-downloading). Other addresses are taken as they
are: https, and http for this very machine. A name without any of that is the catalogue's.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from mesh.model_note import MODEL_SUFFIX

URL_LETTERS_MAX = 2048  # what browsers and proxies take
# A repository's owner and name, as https://huggingface.co/docs/hub/repositories allows them.
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_HUB = re.compile(rf"(?P<repository>{_PART}/{_PART})(?P<rest>[:/].*)?")
_QUANTISATION = re.compile(r"[A-Za-z0-9_]{2,24}")
_HUB_PAGE = re.compile(
    rf"https://(?:huggingface\.co|hf\.co)/(?P<repository>{_PART}/{_PART})"
    r"/(?:resolve|blob)/(?P<revision>[^/?#]+)/(?P<file>[^?#]+)(?:\?[^#]*)?"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,95}")


class BadReference(ValueError):
    """Says what is wrong with what was written."""


@dataclass(frozen=True, slots=True)
class HubReference:
    """A file of a repository; without ``file``, the one of that quantisation, or the best."""

    repository: str
    file: str = ""
    quantisation: str = ""
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class CatalogueReference:
    """A name of the catalogue."""

    name: str


@dataclass(frozen=True, slots=True)
class UrlReference:
    """An address of a file."""

    url: str


Reference = HubReference | CatalogueReference | UrlReference


def read_reference(text: str) -> Reference:
    """Say what ``text`` means.

    Raises:
        BadReference: it means nothing; says why.
    """
    if page := _HUB_PAGE.fullmatch(text):
        return _hub_file(page["repository"], unquote(page["file"]), page["revision"])
    if "://" in text:
        check_address(text)
        return UrlReference(text)
    if text.lower().startswith("hf:"):
        return _hub(text[3:])
    if not _NAME.fullmatch(text):
        raise BadReference("is no name; write hf:OWNER/REPOSITORY, an https:// address or a name")
    return CatalogueReference(text.lower())


def check_address(url: str) -> None:
    """Raises BadReference for an address that nothing is fetched from."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        _ = parts.port
    except ValueError:
        raise BadReference("is no address") from None
    if len(url) > URL_LETTERS_MAX or not url.isprintable() or " " in url:
        raise BadReference("is no address")
    if parts.username is not None or parts.password is not None:
        raise BadReference("holds a name or password, which would be kept and shown")
    if parts.scheme == "http" and not is_loopback(host):
        raise BadReference("is not encrypted; http is for this very machine, use https://")
    if parts.scheme not in ("http", "https") or not host:
        raise BadReference("must begin with https:// and a host")


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this very machine, by its name or number alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _hub(text: str) -> HubReference:
    found = _HUB.fullmatch(text)
    if found is None:
        raise BadReference("names no repository; write hf:OWNER/REPOSITORY")
    rest = found["rest"] or ""
    if rest.startswith("/"):
        return _hub_file(found["repository"], rest[1:], "main")
    if rest and not _QUANTISATION.fullmatch(rest[1:]):
        raise BadReference("names no quantisation; write one such as Q4_K_M after the colon")
    return HubReference(found["repository"], quantisation=rest[1:].upper())


def _hub_file(repository: str, file: str, revision: str) -> HubReference:
    if not file.lower().endswith(MODEL_SUFFIX):
        raise BadReference(f"names no {MODEL_SUFFIX} file")
    if ".." in file.split("/") or file.startswith("/") or not file.isprintable():
        raise BadReference("names no file of a repository")
    return HubReference(repository, file=file, revision=revision)
