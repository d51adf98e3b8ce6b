"""Asks Hugging Face, or whoever ``HF_ENDPOINT`` names, what files a repository has.

Files, sizes and the sha256 of what is stored by LFS come in one answer
(``HfApi.model_info(files_metadata=True)``, huggingface_hub's reference). The bytes do not come
this way: ``download`` fetches them like those of any other address. ``HF_TOKEN`` and
``HF_ENDPOINT`` are the variables that the same reference names.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, urlsplit

import httpx2

from mesh.errors import Forbidden, InvalidRequest, ModelNotFound, NodeLost
from mesh.model_note import MODEL_SUFFIX, SPLIT_NAME
from mesh.pulling.fitting import fits, gigabytes
from mesh.pulling.reference import BadReference, HubReference, check_address
from mesh.pulling.source import Source

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

ENDPOINT = "https://huggingface.co"
ANSWER_WITHIN_S = 20.0  # one small answer; the slowest of a hundred took 4 s
_QUANTISATION = re.compile(
    r"(?:^|[-._])(?P<name>(?:UD-)?(?:IQ|Q|TQ)\d[A-Z0-9_]*|BF16|F16|F32|MXFP4[A-Z0-9_]*)$"
)
PATH_LETTERS_MAX = 512  # a note holds it, and no repository has half of that
_WHOLE = ("BF16", "F16", "F32")  # not quantised: twice the memory of Q8_0 and hardly better
_NO_MODELS = ("mmproj", "imatrix")  # what else repositories keep in such files


@dataclass(frozen=True, slots=True)
class HubFile:
    """One model file of a repository."""

    path: str
    size_bytes: int
    sha256: str = ""

    @property
    def quantisation(self) -> str:
        base = self.path.rpartition("/")[2]
        part = SPLIT_NAME.fullmatch(base)
        stem = part["whole"] if part else base[: -len(MODEL_SUFFIX)]
        found = _QUANTISATION.search(stem.upper())
        return found["name"] if found else ""


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


def resolve(asked: HubReference, name: str, memory_bytes: int) -> Source:
    """Ask which file ``asked`` means, and what is known of it.

    Args:
        name: what the model will be called; "" for the file's own.
        memory_bytes: of this machine, to choose a quantisation that fits where none was named.

    Raises:
        ModelNotFound: there is no such repository or file; says which there are.
        Forbidden: its owner wants to know who asks.
        NodeLost: no answer.
    """
    info = _ask(asked)
    files = model_files(info)
    chosen = choose(asked, files, memory_bytes)
    return Source(
        url=file_address(asked.repository, info.sha or asked.revision, chosen.path),
        name=name or chosen.path.rpartition("/")[2][: -len(MODEL_SUFFIX)],
        origin=f"hf:{asked.repository}/{chosen.path}",
        size_bytes=chosen.size_bytes,
        sha256=chosen.sha256,
        licence=_licence(info),
        token=token(),
    )


def model_files(info: "ModelInfo") -> list[HubFile]:
    """Return the files of a repository that may be models, by size."""
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
    return sorted(found, key=lambda each: (each.size_bytes, each.path))


def choose(asked: HubReference, files: Sequence[HubFile], memory_bytes: int) -> HubFile:
    """Say which of ``files`` is meant: by path, by quantisation, else the best that fits. Pure.

    Raises:
        ModelNotFound: none is.
        InvalidRequest: it is a part of a model.
    """
    if asked.file:
        named = [each for each in files if each.path == asked.file]
    elif asked.quantisation:
        named = [each for each in files if each.quantisation == asked.quantisation]
    else:
        named = list(files)
    whole = [each for each in named if not SPLIT_NAME.fullmatch(each.path.rpartition("/")[2])]
    if named and not whole:
        raise InvalidRequest(
            f"hf:{asked.repository} has this in several parts, which are not pulled yet",
            hint="name a smaller quantisation, or fetch the parts into a model folder yourself",
        )
    if not whole:
        raise _no_such_file(asked, files)
    if asked.file or asked.quantisation:
        return whole[0]
    quantised = [each for each in whole if each.quantisation not in _WHOLE] or whole
    fitting = [each for each in quantised if fits(each.size_bytes, memory_bytes)]
    return fitting[-1] if fitting else quantised[0]  # the plan says why the smallest does not fit


def _no_such_file(asked: HubReference, files: Sequence[HubFile]) -> ModelNotFound:
    what = asked.file or asked.quantisation or f"{MODEL_SUFFIX} file"
    listed = ", ".join(
        f"{each.quantisation or each.path} ({gigabytes(each.size_bytes)})" for each in files[:12]
    )
    return ModelNotFound(
        f"hf:{asked.repository} has no {what}",
        hint=f"it has {listed}" if listed else "look for a repository whose name ends in GGUF",
    )


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
    except (httpx2.HTTPError, OfflineModeIsEnabled, OSError):
        raise no_way_to(urlsplit(base).hostname or base) from None


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


def no_way_to(host: str) -> NodeLost:
    """Return what is said where a host cannot be reached."""
    return NodeLost(
        f"no way to {host}: this machine is offline, or a firewall or proxy stands between",
        hint="models that are here go on being served; `deskmesh models add FILE` takes a file",
    )


def _licence(info: "ModelInfo") -> str:
    for tag in info.tags or ():
        if tag.startswith("license:"):
            licence = tag.removeprefix("license:")[:96]
            return licence if licence.isprintable() else ""
    return ""
