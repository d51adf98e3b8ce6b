"""Where an engine is that a node may adopt, and whether a prompt may go there.

A prompt crosses no network in the clear: an engine elsewhere needs https, unless its owner has
said in so many words that plain http will do. A name that leads back to this machine by its network
address counts as elsewhere: what a packet passes on the way is not ours to know.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from mesh.errors import InvalidRequest

# Each engine's own: docs.ollama.com/faq; lmstudio.ai/docs/developer/core/server; llama.cpp,
# tools/server/README.md; docs.vllm.ai, "OpenAI-compatible server"; docs.ray.io, "Serving LLMs",
# where Serve's HTTP proxy listens as well.
OLLAMA_PORT = 11434
DEFAULT_PORTS = (OLLAMA_PORT, 1234, 8080, 8000)
_EVERY_INTERFACE = ("0.0.0.0", "::", "")  # noqa: S104 - where a server listens, not we


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """An engine's place. Equal ones are the same engine."""

    base: str  # such as "http://127.0.0.1:11434", without a slash or /v1 at its end
    off_host: bool  # on another machine, as far as anyone can tell
    named: bool = False  # by the owner; otherwise it was looked for

    @property
    def shown(self) -> str:
        """Host and port, for people."""
        return self.base.partition("://")[2]


def read_engine_address(text: str, *, plain_http: bool = False) -> EngineAddress:
    """Check an address that the owner has named.

    Args:
        plain_http: may prompts go to another machine in the clear?

    Raises:
        InvalidRequest: it is no place for prompts; says why.
    """
    try:
        url = urlsplit(text)
        host, port = (url.hostname or "").lower(), url.port
    except ValueError:
        raise _bad(text, "is no URL") from None
    if url.scheme not in ("http", "https") or not host:
        raise _bad(text, "must begin with http:// or https://, and name a host")
    if url.username is not None or url.password is not None:
        hint = "name the variable that holds its key in node.engine_keys"
        raise InvalidRequest("an address in node.engines holds a password", hint=hint)
    if url.query or url.fragment or not text.isprintable() or " " in text:
        raise _bad(text, "must end with a port or a path")
    off_host = not is_loopback(host)
    if off_host and url.scheme == "http" and not plain_http:
        raise _bad(
            text,
            "is plain http to another machine, where prompts could be read on the way",
            hint="use https, or set node.engines_plain_http if that network is yours alone",
        )
    path = url.path.rstrip("/").removesuffix("/v1")
    return EngineAddress(f"{url.scheme}://{_netloc(host, port)}{path}", off_host, named=True)


def usual_addresses(ollama_host: str = "") -> tuple[EngineAddress, ...]:
    """Return where engines of this machine usually are.

    Args:
        ollama_host: what the variable OLLAMA_HOST says; where that is another machine, it is left
            out, as nobody named it to us.
    """
    usual = [EngineAddress(f"http://127.0.0.1:{port}", off_host=False) for port in DEFAULT_PORTS]
    said = _ollama_address(ollama_host.strip())
    if said is not None and said not in usual:
        usual.insert(0, said)
    return tuple(usual)


def is_loopback(host: str) -> bool:
    """Is it this very machine, on its own loopback?"""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _ollama_address(said: str) -> EngineAddress | None:
    """Read it as Ollama does: scheme, host and port may each be left out (envconfig/config.go)."""
    if not said:
        return None
    scheme, _, rest = said.rpartition("://")
    try:
        url = urlsplit(f"//{rest}")
        host, port = (url.hostname or "").lower(), url.port
    except ValueError:
        return None
    if scheme not in ("", "http"):
        return None
    if host in _EVERY_INTERFACE:
        host = "127.0.0.1"
    if not is_loopback(host):
        return None
    return EngineAddress(f"http://{_netloc(host, port or OLLAMA_PORT)}", off_host=False)


def _netloc(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _bad(text: str, what: str, hint: str = "write it like http://127.0.0.1:8081") -> InvalidRequest:
    shown = "".join(each if each.isprintable() else "?" for each in text[:80])
    return InvalidRequest(f"{shown!r} in node.engines {what}", hint=hint)
