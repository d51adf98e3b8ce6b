"""The header of a GGUF file, read with the ``gguf`` package. Only for the reader child: it imports
numpy, and it trusts the file with its process's life.
"""

import hashlib
import struct
from collections import Counter
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, cast

import numpy as np
from gguf.constants import GGUFType, GGUFValueType, Keys, LlamaFileType, PoolingType
from gguf.gguf_reader import READER_SUPPORTED_VERSIONS, GGUFReader

from mesh.core.footprint import Shape
from node_agent.library.shape import read_shape

KEYS_MAX = 4_096  # real files have up to about 100
TENSORS_MAX = 65_536  # real files have up to some thousands; 0.3 GB for the reader
ITEMS_READ_MAX = 64  # arrays we look into (tasks, examples) are short; vocabularies are not
NUMBERS_READ_MAX = 1_024  # one for each layer
ITEMS_MAX = 1 << 24  # the largest vocabularies have 2**18 entries; a lie must not take minutes
TEXT_LETTERS_MAX = 256

WHOLE_NUMBERS = {kind for kind in GGUFValueType if "INT" in kind.name}

# How a text's one vector comes of its tokens'. RANK is none: its models score pairs of texts.
EMBEDDING_POOLINGS = (PoolingType.MEAN, PoolingType.CLS, PoolingType.LAST)

TEST_MODEL_KEY = "deskmesh.test_model"
TASKS_KEY = "deskmesh.tasks"
EXAMPLES_KEY = "deskmesh.examples"
DOMAINS_KEY = "deskmesh.domains"  # what the model is a specialist of, such as "security"


class MalformedHeader(ValueError):
    """Nobody can load the file; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says, as it says it."""

    name: str
    architecture: str
    kind: str  # model, adapter, mmproj, imatrix
    parameters: int
    quantisation: str
    context_tokens: int  # 0: not said
    shape: Shape  # decides how much memory it takes
    template_sha256: str | None
    files: int  # that the model is split over
    writes: bool  # text
    embeds: bool  # turns text into a vector, and writes none
    test: bool
    tasks: tuple[str, ...]
    examples: tuple[str, ...]
    domains: tuple[str, ...]


def read_header(file: BinaryIO) -> Header:
    """Read the header of an open file; its tensors are only checked to be there.

    Raises:
        MalformedHeader: nobody can load the file.
        Exception: any other means that it is truncated or damaged.
    """
    _check_beginning(file)
    reader = _Reader(cast(str, file))  # numpy's memmap takes an open file too: one file throughout
    architecture = _text(reader, Keys.General.ARCHITECTURE)
    template = _bytes(reader, Keys.Tokenizer.CHAT_TEMPLATE)
    pooling = _number(reader, f"{architecture}.pooling_type")
    causal = _flag(reader, f"{architecture}.attention.causal", default=True)
    return Header(
        name=_text(reader, Keys.General.NAME),
        architecture=architecture,
        kind=_text(reader, Keys.General.TYPE) or GGUFType.MODEL,
        parameters=sum(tensor.n_elements for tensor in reader.tensors),
        quantisation=_quantisation(reader),
        context_tokens=_number(reader, Keys.LLM.CONTEXT_LENGTH.format(arch=architecture)),
        shape=read_shape(reader, architecture, reader.tensors, encoder=not causal),
        template_sha256=hashlib.sha256(template).hexdigest() if template else None,
        files=_number(reader, Keys.Split.LLM_KV_SPLIT_COUNT) or 1,
        writes=pooling <= 0 and causal,
        embeds=pooling in EMBEDDING_POOLINGS,
        test=_flag(reader, TEST_MODEL_KEY, default=False),
        tasks=_texts(reader, TASKS_KEY),
        examples=_texts(reader, EXAMPLES_KEY),
        domains=tuple(domain.lower() for domain in _texts(reader, DOMAINS_KEY)),
    )


def _check_beginning(file: BinaryIO) -> None:
    """Say clearly what the package says cryptically, or not at all."""
    beginning = file.read(24)
    if beginning[:4] != b"GGUF" or len(beginning) < 24:
        raise MalformedHeader("not a GGUF file")
    version, tensors, keys = struct.unpack("<IQQ", beginning[4:])
    if version & 0xFFFF == 0:
        raise MalformedHeader("a GGUF file for machines of the other byte order")
    if version not in READER_SUPPORTED_VERSIONS:
        raise MalformedHeader(f"a GGUF file of version {version}, which is not understood")
    if tensors > TENSORS_MAX or keys > KEYS_MAX:
        raise MalformedHeader(f"no model has {tensors:,} tensors and {keys:,} keys")


class _Parts(NamedTuple):
    """What ``GGUFReader._get_field_parts`` returns."""

    size_bytes: int
    parts: "list[np.typing.NDArray[np.generic]]"
    data: list[int]
    types: list[GGUFValueType]


class _Reader(GGUFReader):
    """A ``GGUFReader`` that steps over long arrays.

    The stock reader makes several numpy objects for each element: 18 s and 526 MB for a file with a
    vocabulary of 152,000 tokens, against 0.06 s and 38 MB this way (measured, gguf 0.19).
    """

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> _Parts:
        if raw_type != GGUFValueType.ARRAY:
            return _Parts(*super()._get_field_parts(orig_offs, raw_type))
        item_type = GGUFValueType(self._get(orig_offs, np.uint32)[0])
        items = int(self._get(orig_offs + 4, np.uint64)[0])
        if item_type == GGUFValueType.ARRAY or items > ITEMS_MAX:
            raise MalformedHeader(f"no model has an array of {items:,} items ({item_type.name})")
        most = ITEMS_READ_MAX if item_type == GGUFValueType.STRING else NUMBERS_READ_MAX
        if items <= most:
            return _Parts(*super()._get_field_parts(orig_offs, raw_type))
        end = self._end_of_items(orig_offs + 12, item_type, items)
        counted = np.array([items], np.uint64)  # what is left of them
        return _Parts(end - orig_offs, [counted], [], [GGUFValueType.ARRAY, item_type])

    def _end_of_items(self, offset: int, item_type: GGUFValueType, items: int) -> int:
        if item_type != GGUFValueType.STRING:
            return offset + items * np.dtype(self.gguf_scalar_to_np[item_type]).itemsize
        content = self.data.data
        length_at = struct.Struct("<Q").unpack_from
        for _ in range(items):
            offset += 8 + int(length_at(content, offset)[0])
        return offset


def _quantisation(reader: GGUFReader) -> str:
    """Return the name that the file gives its mix of types, else its commonest tensor type."""
    number = _number(reader, Keys.General.FILE_TYPE, default=-1)
    if number >= 0:
        name = {kind.value: kind.name for kind in LlamaFileType}.get(
            number & ~LlamaFileType.GUESSED
        )
        if name:  # an older gguf does not know the newest types
            return name.removeprefix("MOSTLY_").removeprefix("ALL_")
    elements: Counter[str] = Counter()
    for tensor in reader.tensors:
        elements[tensor.tensor_type.name] += tensor.n_elements
    return elements.most_common(1)[0][0] if elements else ""


def _text(reader: GGUFReader, key: str) -> str:
    return _bytes(reader, key).decode(errors="replace")[:TEXT_LETTERS_MAX]


def _bytes(reader: GGUFReader, key: str) -> bytes:
    field = reader.get_field(key)
    if field is None:
        return b""
    if field.types != [GGUFValueType.STRING]:
        raise MalformedHeader(f"{key} is not a text")
    return field.parts[-1].tobytes()


def _number(reader: GGUFReader, key: str, *, default: int = 0) -> int:
    field = reader.get_field(key)
    if field is None:
        return default
    if len(field.types) == 1 and field.types[0] in WHOLE_NUMBERS:
        return int(field.parts[-1][0])
    raise MalformedHeader(f"{key} is not a whole number")


def _flag(reader: GGUFReader, key: str, *, default: bool) -> bool:
    field = reader.get_field(key)
    if field is None:
        return default
    if field.types != [GGUFValueType.BOOL]:
        raise MalformedHeader(f"{key} is neither true nor false")
    return bool(field.parts[-1][0])


def _texts(reader: GGUFReader, key: str) -> tuple[str, ...]:
    field = reader.get_field(key)
    if field is None or field.types == [GGUFValueType.ARRAY]:  # no item, no type of items
        return ()
    if field.types != [GGUFValueType.ARRAY, GGUFValueType.STRING]:
        raise MalformedHeader(f"{key} is not a list of texts")
    return tuple(field.parts[index].tobytes().decode(errors="replace") for index in field.data)
