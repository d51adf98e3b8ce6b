"""What was learned of model files, on disk, so that none is hashed twice.

Losing it costs time and nothing else: whatever is wrong with the file, it is made again. Rejections
are not kept: they are found by the header alone, and a later version may think better of a file.
"""

import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from pydantic import Field, ValidationError

from node_agent.library.description import Checked, Description
from node_agent.library.found import Stamp

FORMAT = 2  # 2: tells what decides a model's memory
CACHE_BYTES_MAX = 64 << 20  # 8,192 descriptions of up to 8 KB; a larger file is not ours

_log = logging.getLogger(__name__)


class _CachedFile(Checked):
    size_bytes: int
    mtime_ns: int
    description: Description


class _CacheContent(Checked):
    format: int = Field(ge=FORMAT, le=FORMAT)
    files: dict[str, _CachedFile]  # by path, quoted as in a URL: paths need not be UTF-8


class DescriptionCache:
    """The cache file of one home. Blocking: for use in a thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writing = threading.Lock()  # a thread outlives the task that cancelled it
        self._failing = False  # one line for a full disk, not one every few seconds

    def read(self) -> dict[Stamp, Description]:
        """Return what is known, oldest first; nothing if the file is missing or damaged."""
        try:
            with self._file.open("rb") as file:
                raw = file.read(CACHE_BYTES_MAX + 1)
            if len(raw) > CACHE_BYTES_MAX:
                raise ValueError("it is too large")
            content = _CacheContent.model_validate(json.loads(raw))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as failure:
            why = "its content is not ours" if isinstance(failure, ValidationError) else failure
            _log.warning("model cache %s is unusable (%s); it is made again", self._file, why)
            return {}
        return {
            Stamp(_path_of(key), cached.size_bytes, cached.mtime_ns): cached.description
            for key, cached in content.files.items()
        }

    def write(self, known: Mapping[Stamp, Description]) -> bool:
        """Replace the file as a whole. A failure is logged once and returned as False."""
        content = {
            "format": FORMAT,
            "files": {
                quote(os.fsencode(stamp.path)): {
                    "size_bytes": stamp.size_bytes,
                    "mtime_ns": stamp.mtime_ns,
                    "description": description.model_dump(mode="json"),
                }
                for stamp, description in known.items()
            },
        }
        try:
            with self._writing:
                self._replace(json.dumps(content))
        except OSError as failure:
            if not self._failing:
                why = (failure.strerror or type(failure).__name__).lower()
                _log.warning(
                    "cannot keep what is known of models in %s (%s); they are hashed again at the"
                    " next start unless that is mended",
                    self._file,
                    why,
                )
            self._failing = True
            return False
        self._failing = False
        return True

    def _replace(self, text: str) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # With the process id, as `deskmesh models list` may write beside a running agent.
        beside = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
        try:
            beside.write_text(text, encoding="ascii")
            beside.replace(self._file)
        finally:
            beside.unlink(missing_ok=True)


def _path_of(key: str) -> Path:
    return Path(os.fsdecode(unquote_to_bytes(key)))
