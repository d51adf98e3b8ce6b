"""Asks Hugging Face, or whoever ``HF_ENDPOINT`` names, what files a repository has.

Files, sizes and the sha256 of what is stored by LFS come in one answer
(``HfApi.model_info(files_metadata=True)``, huggingface_hub's reference). The bytes do not come
this way: ``download`` fetches them like those of any other address. ``HF_TOKEN`` and
``HF_ENDPOINT`` are the variables that the same reference names.
"""

import os
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, urlsplit

import httpx2

from mesh.errors import Forbidden, InvalidRequest, ModelNotFound, NodeLost
from mesh.model_note import MODEL_SUFFIX
from mesh.pulling.hub_files import HubFile, choose
from mesh.pulling.no_way import is_refused, no_way_to
from mesh.pulling.reference import BadReference, HubReference, check_address
from mesh.pulling.source import Source
from mesh.pulling.wanted import Wanted

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

ENDPOINT = "https://huggingface.co"
ANSWER_WITHIN_S = 20.0  # one small answer; the slowest of a hundred took 4 s
PATH_LETTERS_MAX = 512  # a note holds it, and no repository has half of that
_NO_MODELS = ("mmproj", "imatrix")  # what else repositories keep in such files


def endpoint() -> str:
    """Return where the hub is.

    Raises:
        InvalidRequest: ``HF_ENDPOINT`` is no address to send a token to.
    """
    base = os.environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT
    try:
        check_address(base)
    except BadReference as why:
        raise InvalidRequest(f"HF_ENDPOINT {why}", hint="set it right, or not at all") from None
    return base


def token() -> str:
    """Return the token of ``HF_TOKEN``; "" without one."""
    return os.environ.get("HF_TOKEN", "").strip()


def file_address(repository: str, revision: str, file: str) -> str:
    """Return where a file of a repository is fetched."""
    return f"{endpoint()}/{repository}/resolve/{quote(revision, safe='')}/{quote(file)}"


def resolve(asked: HubReference, name: str, memory_bytes: int) -> Wanted:
    """Ask which model ``asked`` means, and what is known of it.

    Args:
        name: what the model will be called; "" for the file's own.
        memory_bytes: of this machine, to choose a quantisation that fits where none was named.

    Raises:
        ModelNotFound: there is no such repository or file; says which there are.
        Forbidden: its owner wants to know who asks.
        NodeLost: no answer.
    """
    info = _ask(asked)
    chosen = choose(asked, model_files(info), memory_bytes)
    parts = [
        Source(
            url=file_address(asked.repository, info.sha or asked.revision, each.path),
            name=chosen.name,
            origin=f"hf:{asked.repository}/{each.path}",
            size_bytes=each.size_bytes,
            sha256=each.sha256,
            token=token(),
        )
        for each in chosen.files
    ]
    return Wanted.of(parts, name or chosen.name, licence=_licence(info))


def model_files(info: "ModelInfo") -> list[HubFile]:
    """Return the files of a repository that may be models, or parts of one."""
    found = []
    for each in info.siblings or ():
        base = each.rfilename.rpartition("/")[2].lower()
        if not base.endswith(MODEL_SUFFIX) or any(word in base for word in _NO_MODELS):
            continue
        if not each.rfilename.isprintable() or len(each.rfilename) > PATH_LETTERS_MAX:
            continue  # it would be shown on a terminal
        lfs_size = each.lfs.size if each.lfs else None
        size_bytes = lfs_size or each.size or 0
        if size_bytes > 0:
            sha256 = each.lfs.sha256 if each.lfs else ""
            found.append(HubFile(each.rfilename, size_bytes, sha256))
    return found


def _ask(asked: HubReference) -> "ModelInfo":
    base = endpoint()
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        api = HfApi(endpoint=base, token=token() or False)
        return api.model_info(
            asked.repository,
            revision=asked.revision,
            files_metadata=True,
            timeout=ANSWER_WITHIN_S,
        )
    except HFValidationError:
        raise InvalidRequest(f"hf:{asked.repository} is no repository's name") from None
    except HfHubHTTPError as failure:
        _refused(asked, failure.response.status_code)
    except (httpx2.HTTPError, OfflineModeIsEnabled, OSError) as failure:
        host = urlsplit(base).hostname or base
        raise no_way_to(host, refused=is_refused(failure)) from None


def _refused(asked: HubReference, status: int) -> NoReturn:
    what = f"hf:{asked.repository}"
    if status in (401, 403):
        raise Forbidden(
            f"{what} is not there, or not for everybody",
            hint="check the name; ask for access on its page and set HF_TOKEN to your token",
        ) from None
    if status == 404:
        raise ModelNotFound(f"there is no {what}", hint="check the name") from None
    raise NodeLost(f"{what}: the hub answered {status}", hint="try again in a minute") from None


def _licence(info: "ModelInfo") -> str:
    for tag in info.tags or ():
        if tag.startswith("license:"):
            licence = tag.removeprefix("license:")[:96]
            return licence if licence.isprintable() else ""
    return ""
