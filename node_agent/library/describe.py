"""``python -m node_agent.library.describe FILE...``: what is in a model file, as lines of JSON.

This is the reader child: it alone parses model files, with little memory, at the lowest priority,
and it ends after one file, or after the parts of one model that is split. It prints progress while
it hashes and then one answer; see ``node_agent.library.description`` for the lines.

The sha256 of a model in parts is that of the parts' bytes one after the other, in order: what
``cat`` would make of them. (It is not that of the file which ``gguf-split --merge`` makes, whose
header differs.)
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from mesh.platforms.here import HERE
from node_agent.library.found import times_of
from node_agent.library.kinds import Kind
from node_agent.library.known_architectures import is_known

if TYPE_CHECKING:
    from node_agent.library.header import Header

BLOCK_BYTES = 1 << 20
PROGRESS_EVERY_BYTES = 256 << 20  # a line every 0.2 to 1 s; a dead parent is noticed by it as well
RESERVE_BYTES = 16 << 20  # to say that memory ran out takes some, too
TASKS_MAX = 32
TASK_LETTERS_MAX = 64
DOMAINS_MAX = 8  # a specialist of more is none
CONTEXT_TOKENS_MAX = (1 << 31) - 1  # llama.cpp counts positions so far
LAYERS_MAX = 1_024  # the largest models have 126
CACHE_BYTES_MAX = 1 << 30  # of a token; the largest models take megabytes
EXAMPLE_LETTERS_MAX = 400

Answer = dict[str, object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Describe one file; exit status 0 if it could be described."""
    parser = argparse.ArgumentParser(
        prog="python -m node_agent.library.describe", allow_abbrev=False
    )
    parser.add_argument("files", type=Path, nargs="+", help="one model; its parts in order")
    parser.add_argument("--memory-bytes", type=int, default=0, help="limit; 0: none")
    options = parser.parse_args(arguments)
    HERE.step_far_back()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy takes 30 MB a core for threads we never use
    if options.memory_bytes:
        # What a hostile header can make us allocate.
        HERE.limit_data(options.memory_bytes, RESERVE_BYTES)
        HERE.leave_no_dump()
    answer = describe(options.files, lambda done: _say({"progress_bytes": done}))
    _say(answer)
    return 0 if "description" in answer else 1


def describe(paths: Sequence[Path], on_progress: Callable[[int], None]) -> Answer:
    """Return a description of one model, or a rejection with a line of reason. Never raises.

    Args:
        paths: its file, or the files of its parts in order.
    """
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(path.open("rb")) for path in paths]
            return _describe_open(files, on_progress)
    except _Rejected as rejected:
        return _rejection(rejected.fault, rejected.reason, rejected.kind)
    except FileNotFoundError:
        return _rejection("gone", "it is gone")
    except OSError as failure:
        why = (failure.strerror or type(failure).__name__).lower()
        return _rejection("again", f"cannot be read: {why}; mend it, or remove the file")


def _describe_open(files: Sequence[BinaryIO], on_progress: Callable[[int], None]) -> Answer:
    statuses = [os.fstat(file.fileno()) for file in files]
    if any(status.st_size == 0 for status in statuses):
        _reject("broken", "empty; remove it, or download it again")
    size_bytes = sum(status.st_size for status in statuses)
    header = _header_of(files, size_bytes)
    if why := _why_not_served(header, len(files)):
        _reject("ignored", why, kind=_kind(header))
    if why := _why_unusable(header):
        _reject("broken", f"{why}; download another, or convert it again")
    if not is_known(header.architecture):
        why = f"llama.cpp, as it is installed here, knows no architecture {header.architecture!r}"
        _reject("ignored", why, kind=Kind.UNKNOWN_ARCHITECTURE)
    sha256 = _hash(files, statuses, on_progress)
    return {
        "description": {
            "sha256": sha256,
            "size_bytes": size_bytes,
            "mtime_ns": times_of(statuses),
            "name": header.name,
            "architecture": header.architecture,
            "parameters": header.parameters,
            "quantisation": header.quantisation,
            "context_tokens": header.context_tokens,
            "shape": asdict(header.shape),
            "embeds": header.embeds,
            "template_sha256": header.template_sha256,
            "test": header.test,
            "tasks": [task[:TASK_LETTERS_MAX] for task in header.tasks[:TASKS_MAX]],
            "examples": [prompt[:EXAMPLE_LETTERS_MAX] for prompt in header.examples[:TASKS_MAX]],
            "domains": [each[:TASK_LETTERS_MAX] for each in header.domains[:DOMAINS_MAX]],
        }
    }


def _header_of(files: Sequence[BinaryIO], size_bytes: int) -> "Header":
    try:
        from node_agent.library.header import MalformedHeader, read_header
    except ImportError as failure:
        missing = failure.name or "gguf"
        _reject("again", f"{missing} is not installed; run `pip install 'deskmesh[node]'`")
    try:
        return read_header(*files)
    except MemoryError:
        pass  # within this block the reader's frames, and all that they took, are held still
    except MalformedHeader as failure:
        _reject("broken", f"{failure}; download another, or convert it again")
    except Exception:
        what = f"a truncated or damaged GGUF of {size_bytes:,} bytes"
        _reject("broken", f"{what}; download it again")
    HERE.free_reserve()
    _reject("broken", "its header takes more memory than any model's should; remove it")


def _kind(header: "Header") -> Kind:
    if header.kind == "adapter":
        return Kind.ADAPTER
    is_projector = header.kind == "mmproj" or header.architecture == "clip"
    return Kind.PROJECTOR if is_projector else Kind.OTHER


def _why_not_served(header: "Header", files: int) -> str:
    """Return why a whole file is no model of ours; "" if it is one."""
    match _kind(header):
        case Kind.ADAPTER:
            return "a LoRA adapter, no model of its own; adapters are not served yet"
        case Kind.PROJECTOR:
            return "a projector for images or sound, no model of its own; not served yet"
    if header.kind == "imatrix":
        return "statistics for quantising, not a model"
    if header.files != files:
        return (
            f"one of {header.files} files of a model; it is served if the others lie beside it"
            f" under their names, NAME-00001-of-{header.files:05}.gguf and so on"
        )
    if not header.writes and not header.embeds:
        return "it writes no text, and does not say how to make an embedding of one"
    if header.parameters == 0:
        return "a vocabulary without weights, not a model"
    return ""


def _why_unusable(header: "Header") -> str:
    if not 0 < len(header.architecture) <= TASK_LETTERS_MAX:
        return "it names no architecture"
    if header.context_tokens <= 0:
        return "it does not say how long a context it was trained for"
    if header.context_tokens > CONTEXT_TOKENS_MAX:
        return f"no model was trained for a context of {header.context_tokens:,} tokens"
    if header.shape.layers > LAYERS_MAX:
        return f"no model has {header.shape.layers:,} layers"
    if header.shape.cache_bytes_per_token > CACHE_BYTES_MAX:
        return f"no model keeps {header.shape.cache_bytes_per_token:,} bytes of each token"
    return ""


def _hash(
    files: Sequence[BinaryIO],
    before: Sequence[os.stat_result],
    on_progress: Callable[[int], None],
) -> str:
    """Return the sha256 of all bytes, provided that every file stayed as it was."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(BLOCK_BYTES))
    done_bytes, told_bytes = 0, 0
    for file in files:
        file.seek(0)
        while count := file.readinto(block):  # type: ignore[attr-defined]  # not in BinaryIO
            digest.update(block[:count])
            done_bytes += count
            if done_bytes - told_bytes >= PROGRESS_EVERY_BYTES:
                told_bytes = done_bytes
                on_progress(done_bytes)
                _check_unchanged(files, before)
    _check_unchanged(files, before)
    return digest.hexdigest()


def _check_unchanged(files: Sequence[BinaryIO], before: Sequence[os.stat_result]) -> None:
    for file, then in zip(files, before, strict=True):
        now = os.fstat(file.fileno())
        if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            _reject("changing", "changes while it is read; it is looked at again once it rests")


class _Rejected(Exception):
    """Leaves ``_describe_open`` early."""

    def __init__(self, fault: str, reason: str, kind: Kind) -> None:
        super().__init__(reason)
        self.fault = fault
        self.reason = reason
        self.kind = kind


def _reject(fault: str, reason: str, *, kind: Kind = Kind.OTHER) -> NoReturn:
    raise _Rejected(fault, reason, kind) from None


def _rejection(fault: str, reason: str, kind: Kind = Kind.OTHER) -> Answer:
    return {"rejection": {"fault": fault, "reason": reason, "kind": kind}}


def _say(line: Answer | dict[str, int]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
