"""What the files of one repository are called: by their quantisation, which tells them apart.

Repositories of GGUF files hold one model several times, as NAME-Q4_K_M.gguf, NAME-Q8_0.gguf and so
on, and tools name a file by repository and quantisation: ``-hf OWNER/REPOSITORY:Q4_K_M`` of
llama.cpp, ``hf.co/OWNER/REPOSITORY:Q4_K_M`` of Ollama (huggingface.co/docs/hub/ollama),
``KEY@q4_k_m`` of LM Studio. llama.cpp takes whatever follows the last '-' or '.' of the file's name
for it (common/download.cpp, ``get_gguf_split_info``); here it has to look like a quantisation.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from node_agent.library.found import FoundFile

_QUANTISATION = re.compile(
    r"(?:^|[-._])(?P<name>(?:UD-)?(?:I?Q[1-8](?:_[A-Z0-9]+)*|TQ[12]_0|BF16|FP?16|FP?32"
    r"|(?:MX|NV)FP4(?:_MOE)?))$",
    re.IGNORECASE,
)


def quantisation_in(stem: str) -> str:
    """Return the quantisation at the end of a file's name without .gguf, in capitals; "": none."""
    found = _QUANTISATION.search(stem)
    return found["name"].upper() if found else ""


def named_by_quantisation(
    files: Sequence[FoundFile], name: str, *, mark: str, lower: bool = False
) -> list[FoundFile]:
    """Name a repository's files ``name`` + ``mark`` + quantisation, and each of them ``name``.

    Where two files have one quantisation, the repository holds several models: each keeps the name
    of its file, and none is called ``name``, which would mean any of them.

    Args:
        files: the names of each are added to; the first of its aliases is its file's.
        lower: whether the quantisation is written in small letters.
    """
    tags = {file.path: quantisation_in(file.aliases[0]) for file in files}
    counts = Counter(tags[file.path] for file in files if not _is_companion(file))
    if any(count > 1 for count in counts.values()):
        return list(files)
    named = []
    for file in files:
        if _is_companion(file):
            named.append(file)
            continue
        tag = tags[file.path].lower() if lower else tags[file.path]
        names = (f"{name}{mark}{tag}", name) if tag else (name,)
        named.append(replace(file, names=(*file.names, *names)))
    return named


def _is_companion(file: FoundFile) -> bool:
    """Is it, by its name, a part of the other files' model, as a projector is?"""
    return "mmproj" in file.aliases[0].lower() or "imatrix" in file.aliases[0].lower()
