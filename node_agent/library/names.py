"""What people may call a model: names from its file, made safe to print, send and type."""

import re
import unicodedata
from functools import lru_cache

from mesh.core.types import AUTO, CLOUD

NAME_LETTERS_MAX = 96  # fits a table's column; the longest names of public models have about 80
NAMES_MAX = 8  # each is sent in every report

_MODEL_ID = re.compile(r"[0-9a-f]{16}-([0-9a-f]{8}|none)")


@lru_cache(maxsize=4_096)  # one for each model: the view is made anew at each change
def model_names(
    *, known_as: tuple[str, ...], own_name: str, aliases: tuple[str, ...], sha256: str
) -> tuple[str, ...]:
    """Return 1 to ``NAMES_MAX`` different names: those it is known as, its own as slug, aliases.

    None of them is ``auto`` or ``cloud``, or looks like a model id: a file must not capture
    requests by its name.
    """
    wanted = [*map(_clean, known_as), slug(own_name), *map(_clean, aliases)]
    names = tuple(dict.fromkeys(name for name in wanted if name and not _is_reserved(name)))
    return names[:NAMES_MAX] or (f"model-{sha256[:8]}",)


def slug(text: str) -> str:
    """Return ``text`` in lower case with a hyphen for whatever is not letter, digit, '.' or '+'."""
    text = unicodedata.normalize("NFKC", text).lower()
    hyphened = "".join(letter if letter.isalnum() or letter in ".+" else "-" for letter in text)
    return re.sub("-{2,}", "-", hyphened).strip("-.")[:NAME_LETTERS_MAX].rstrip("-.")


def _clean(text: str) -> str:
    """Drop what a terminal might obey, half of a surrogate pair, and a difference of Unicode form.

    A file's name is decomposed on some file systems, while keyboards type composed letters.
    """
    text = unicodedata.normalize("NFC", text)
    return "".join(filter(str.isprintable, text)).strip()[:NAME_LETTERS_MAX].strip()


def _is_reserved(name: str) -> bool:
    return name.casefold() in {AUTO, CLOUD} or _MODEL_ID.fullmatch(name.casefold()) is not None
