"""One model that turns text into vectors. Only the engine process imports it.

Two kinds of file do: encoders (BERT and its kin), in which every token sees every other one, and
decoders that were trained for it; each names the pooling that makes one vector of its tokens'. A
model that names none writes text, and the mean of its inner states is a poor vector: it is not
offered as one.

- An encoder takes a text in one piece, as every token sees every other one. So its context is as
  long as the longest text, and its buffers with it. Without flash attention they grow with the
  square of it, with it a vector depends on what it is computed with: by 1e-4 of its length on CPUs,
  against 1e-7 (BERT, random weights). So long contexts have it, and short ones do not.
- A decoder takes a text in pieces. While llama.cpp embeds, it computes the next word's logits after
  every token as well: 1.2 MB each for 152,000 words (measured, 0.3.36), so 10 GB for a text of
  8,192 tokens. So it embeds the last token alone, as its pooling takes no other. One that pools all
  of them must embed all of them, and takes texts of one short piece only.
- Several short texts are computed together. In an encoder each token is compared with each of the
  batch, whosever it is, so batches stay short.
- Nothing is remembered from batch to batch.
"""

import ctypes
import math
from array import array
from collections.abc import Sequence
from pathlib import Path

from mesh.core.embedding import VECTOR_TYPE, Vector
from mesh.errors import InternalError
from node_agent.engine.abort import Aborted, AbortFlag
from node_agent.engine.bindings import are_finite, native
from node_agent.engine.embedding_limits import BATCH_TEXTS, BATCH_TOKENS, SCORES_BYTES_MAX
from node_agent.engine.llama import DecodeError, LoadError, load_weights, token_ids
from node_agent.engine.native_log import NativeLog

_FILE_HINT = "get the file again, or take it out of the model folder"
_MEMORY_HINT = "choose a shorter context, or close other programs"
_ABORTED = 2  # llama.cpp's answer when the abort callback said so


class Embedder:
    """A loaded model. Everything but the abort flag and ``tokenise`` belongs to one thread."""

    def __init__(self, path: Path, *, context_tokens: int, threads: int, abort: AbortFlag) -> None:
        """Load the weights, for texts of ``context_tokens``, or fewer if trained for fewer.

        Raises:
            LoadError: not a model, not one that embeds, or no memory for it.
        """
        self._log = NativeLog()
        self._abort = abort  # llama.cpp keeps a pointer to it
        self._model = load_weights(path, self._log)
        if native.llama_model_has_encoder(self._model):
            raise LoadError("it is one half of a translator (T5), which is not served", _FILE_HINT)
        self._vocabulary = native.llama_model_get_vocab(self._model)
        trained_tokens = native.llama_model_n_ctx_train(self._model)
        self.context_tokens = min(context_tokens, trained_tokens or context_tokens)
        self._width = native.llama_model_n_embd_out(self._model)
        self._context = self._make_context(threads, BATCH_TOKENS)
        pooling = native.llama_pooling_type(self._context)
        last = native.LLAMA_POOLING_TYPE_LAST
        if pooling not in (native.LLAMA_POOLING_TYPE_MEAN, native.LLAMA_POOLING_TYPE_CLS, last):
            raise LoadError("it does not say how a text becomes one vector", _FILE_HINT)
        self._memory = native.llama_get_memory(self._context)  # None: an encoder
        self._last_alone = bool(self._memory) and pooling == last
        if self._memory and not self._last_alone:
            self.context_tokens = min(self.context_tokens, BATCH_TOKENS)
        if not self._memory and self.context_tokens > BATCH_TOKENS:
            native.llama_free(self._context)
            self._context = self._make_context(threads, self.context_tokens)
        self._batch = native.llama_batch_init(self._batch_tokens, 0, 1)

    def tokenise(self, text: str) -> "array[int]":
        """Return a text's ids, with what the model wants around a text.

        The name of a control token in it is text: what is embedded comes from anywhere.
        """
        return array("i", token_ids(self._vocabulary, text, add_special=True, special=False))

    def fits(self, tokens: int, texts: int, more: int) -> bool:
        """Whether a batch of so many texts has room for one of ``more`` tokens."""
        return not texts or (texts < BATCH_TEXTS and tokens + more <= BATCH_TOKENS)

    def embed(self, texts: Sequence[Sequence[int]]) -> tuple[Vector, ...]:
        """Return the vector of each text, of length 1; as many texts as ``fits`` allows.

        Raises:
            Aborted: the flag was set.
            DecodeError: llama.cpp failed.
            InternalError: the model gave something else than numbers.
        """
        if self._abort.is_set():
            raise Aborted
        if self._memory:
            native.llama_memory_clear(self._memory, False)
        rows = [
            (index, position, token)
            for index, ids in enumerate(texts)
            for position, token in enumerate(ids)
        ]
        if self._last_alone:
            ends = {(index, len(ids) - 1) for index, ids in enumerate(texts)}
            self._compute([row for row in rows if row[:2] not in ends], pool=False)
            rows = [row for row in rows if row[:2] in ends]
        self._compute(rows, pool=True)
        return tuple(self._vector(index) for index in range(len(texts)))

    @property
    def _batch_tokens(self) -> int:
        return max(self.context_tokens, BATCH_TOKENS)

    def _compute(self, rows: Sequence[tuple[int, int, int]], *, pool: bool) -> None:
        """Compute rows of a text's number, a position in it and a token."""
        if not rows:
            return
        batch = self._batch
        batch.n_tokens = len(rows)
        for at, (index, position, token) in enumerate(rows):
            batch.token[at], batch.pos[at] = token, position
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, index
            batch.logits[at] = pool  # pooling takes the tokens that are put out
        native.llama_set_embeddings(self._context, pool)
        compute = native.llama_decode if self._memory else native.llama_encode
        status = compute(self._context, batch)
        if status == _ABORTED:
            raise Aborted
        if status != 0:
            raise DecodeError(f"llama.cpp failed to embed with {status}: {self._log.cause()}")

    def _vector(self, index: int) -> Vector:
        pooled = native.llama_get_embeddings_seq(self._context, index)
        if not pooled or not are_finite(pooled, self._width):
            raise InternalError(
                "the model gave numbers that are none (NaN or infinite)",
                hint="use another file of the model; this one is broken",
            )
        values: Vector = array(VECTOR_TYPE)
        values.frombytes(ctypes.string_at(pooled, ctypes.sizeof(ctypes.c_float) * self._width))
        return normalised(values)

    def _make_context(self, threads: int, piece_tokens: int) -> object:
        settings = native.llama_context_default_params()
        settings.n_ctx = settings.n_batch = self._batch_tokens
        settings.n_ubatch = piece_tokens
        settings.n_seq_max = BATCH_TEXTS
        settings.kv_unified = True  # else each text of a batch gets a like share of the context
        settings.n_threads = settings.n_threads_batch = threads
        settings.embeddings = True
        heads = native.llama_model_n_head(self._model)
        scores_bytes = 4 * heads * piece_tokens * self._batch_tokens
        if scores_bytes <= SCORES_BYTES_MAX:
            settings.flash_attn_type = native.LLAMA_FLASH_ATTN_TYPE_DISABLED
        settings.abort_callback = self._abort.callback
        settings.abort_callback_data = self._abort.data
        context = native.llama_init_from_model(self._model, settings)
        if not context:
            reason = self._log.cause() or "llama.cpp gave no reason"
            raise LoadError(f"no context of {self._batch_tokens} tokens: {reason}", _MEMORY_HINT)
        return context


def normalised(vector: Vector) -> Vector:
    """Return the vector of the same direction and length 1, as OpenAI and llama.cpp's server do.

    One of zeros has no direction, and stays what it is.
    """
    length = math.sqrt(math.fsum(value * value for value in vector))
    return array(VECTOR_TYPE, [value / length for value in vector]) if length else vector
