"""One model in llama.cpp, with a sequence for each slot. Only the engine process imports it.

The rules of the native side, each learned from its source or by measurement:

- Each slot has memory of its own (``kv_unified=False``): sharing one pool costs up to a quarter of
  the decode rate at 16 sequences. Between slots only a whole copy is possible; a partial one aborts
  the process.
- A batch for several slots is computed in runs of neighbours with as many tokens each.
- A decode can be broken off from another thread by ``AbortFlag``; llama.cpp asks it between the
  nodes of a graph, on CPUs only. Elsewhere a chunk of a prompt is over soon.
- Flash attention is off on CPUs. With it the logits there depend on the number of threads and on
  how a prompt is cut; without it they were equal to the last bit for one thread and two, and for
  cuts of two tokens and more (F32, Q8_0, Q4_0; 500 tokens), at the same speed within 10 %.
"""

import ctypes
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from node_agent.engine.abort import Aborted, AbortFlag
from node_agent.engine.bindings import PACKAGE_VERSION, are_finite, devices, native
from node_agent.engine.chunks import CHUNK_TOKENS_MAX
from node_agent.engine.gpu_layers import OFF_MAX, out_of_memory, tries
from node_agent.engine.load_progress import LoadProgress
from node_agent.engine.native_log import NativeLog
from node_agent.engine.offload import Offload, offload
from node_agent.engine.sampler import SAMPLER_VERSION
from node_agent.engine.scheduler import Row

_FILE_HINT = "get the file again, or take it out of the model folder"
_KIND_HINT = "use a model that generates text"
_MEMORY_HINT = "choose a shorter context, or close other programs"

_NO_ROOM = 1  # llama_decode's answers: no room for the batch, which is left undone
_ABORTED = 2  # and when the abort callback said so
_NO_VOCABULARY = 0  # LLAMA_VOCAB_TYPE_NONE


class LoadError(Exception):
    """The model can't be loaded; says why in one line, and what to do about it."""

    def __init__(self, reason: str, hint: str = _FILE_HINT) -> None:
        super().__init__(reason)
        self.hint = hint


class DecodeError(Exception):
    """llama.cpp failed in the middle of its work; its state can't be trusted any more."""


class NoRoom(Exception):
    """The memory has no room for the step's tokens; nothing was decoded."""


class Llama:
    """A loaded model. Everything but the abort flag belongs to one thread."""

    def __init__(  # noqa: PLR0913 - what a model is loaded with, all by name
        self,
        path: Path,
        *,
        context_tokens: int,
        slots: int,
        threads: int,
        abort: AbortFlag,
        progress: LoadProgress | None = None,
        gpu_off: float | None = 1.0,
    ) -> None:
        """Load the weights and make room in each slot for ``context_tokens``.

        For fewer, if the model was trained for fewer. ``gpu_off`` is what the model took of a GPU
        at its last load, of what was foretold; after this load it is what this one took. None
        leaves all to the processor, as its process died otherwise: the next load tries little.

        Raises:
            LoadError: not a model, not one that generates text, or no memory for it.
        """
        self._log = NativeLog()
        self._abort = abort  # llama.cpp keeps a pointer to it
        native.llama_backend_init()
        self.slots = slots
        self._flash = any(device.gpu for device in devices())
        self._threads = threads
        before = OFF_MAX if gpu_off is None else gpu_off
        planned = (
            Offload(0)
            if gpu_off is None
            else offload(path, context_tokens=context_tokens, slots=slots, off=gpu_off)
        )
        self._open(path, context_tokens, planned.layers, progress)
        self.spared_layers = planned.layers - self.gpu_layers  # that the GPU had no memory for
        self.gpu_off = planned.off(before, self.gpu_layers)
        self._vocabulary = native.llama_model_get_vocab(self._model)
        self._memory = native.llama_get_memory(self.context)
        if not self._memory:
            raise LoadError(
                "it keeps no memory of a sequence, so it can't generate text", _KIND_HINT
            )
        self._batch = native.llama_batch_init(max(CHUNK_TOKENS_MAX, slots), 0, 1)
        self.vocabulary_size = int(native.llama_vocab_n_tokens(self._vocabulary))
        self.numerics = self._numerics(threads)  # of what is known before anything is tried
        self._pieces: dict[int, bytes] = {}  # at most one for each token of the vocabulary

    def chat_template(self) -> str | None:
        """Return the model's own chat template, if it has one."""
        source = native.llama_model_chat_template(self._model, None)
        return None if source is None else source.decode(errors="replace")

    def bos_text(self) -> str:
        return self.token_text(native.llama_vocab_bos(self._vocabulary))

    def eos_text(self) -> str:
        return self.token_text(native.llama_vocab_eos(self._vocabulary))

    def tokenise(self, text: str) -> list[int]:
        """Return a rendered prompt's ids, with the model's BOS unless the template wrote it."""
        prompt = self._tokenise(text, special=True)
        bos = native.llama_vocab_bos(self._vocabulary)
        wanted = native.llama_vocab_get_add_bos(self._vocabulary) and bos != native.LLAMA_TOKEN_NULL
        if wanted and prompt[:1] != [bos]:
            prompt.insert(0, bos)
        return prompt

    def tokenise_text(self, text: str) -> list[int]:
        """Return the ids of a piece of text, in which no control token is meant."""
        return self._tokenise(text, special=False)

    def piece(self, token: int) -> bytes:
        """Return the bytes that ``token`` stands for; none for control tokens."""
        if token not in self._pieces:
            self._pieces[token] = self._native_piece(token)
        return self._pieces[token]

    def ends_turn(self, token: int) -> bool:
        return bool(native.llama_vocab_is_eog(self._vocabulary, token))

    def ends_of_turn(self) -> list[int]:
        """Return every token that ends a turn; at least one, though a model may never say it."""
        ends = [token for token in range(self.vocabulary_size) if self.ends_turn(token)]
        return ends or [self.vocabulary_size - 1]

    def is_control(self, token: int) -> bool:
        """Whether a token means something to the model, and stands for no text."""
        return bool(native.llama_vocab_is_control(self._vocabulary, token))

    def control_token(self, text: str) -> int | None:
        """Return the control token that is called ``text``, if the vocabulary has it."""
        ids = self._tokenise(text, special=True)
        return ids[0] if len(ids) == 1 and self.is_control(ids[0]) else None

    def token_text(self, token: int) -> str:
        """Return what a token is called; "" for none."""
        if token == native.LLAMA_TOKEN_NULL:
            return ""
        text: bytes = native.llama_vocab_get_text(self._vocabulary, token)
        return text.decode(errors="replace")

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on.

        Without effect with flash attention, whose rounding the number of threads changes.
        """
        if threads != self._threads and not self._flash:
            native.llama_set_n_threads(self.context, threads, threads)
            self._threads = threads

    def decode(self, rows: Sequence[Row], *, logits: bool, last: bool) -> None:
        """Decode ``rows``: append each token to its slot.

        Args:
            rows: of one slot or several; at most ``CHUNK_TOKENS_MAX``, or one for each slot.
            logits: whether each row's are wanted.
            last: whether those of the last row are.

        Raises:
            Aborted: the flag was set; ``truncate`` every slot of the rows.
            NoRoom: ``truncate`` them likewise.
            DecodeError: llama.cpp failed.
        """
        if self._abort.is_set():
            raise Aborted
        batch = self._batch
        batch.n_tokens = len(rows)
        token, position, slot_of = batch.token, batch.pos, batch.seq_id
        for at, row in enumerate(rows):
            token[at] = row.token
            position[at] = row.position
            batch.n_seq_id[at] = 1
            slot_of[at][0] = row.slot
            batch.logits[at] = logits
        batch.logits[len(rows) - 1] = last
        status = native.llama_decode(self.context, batch)
        if status == _ABORTED:
            raise Aborted
        if status == _NO_ROOM:
            raise NoRoom
        if status != 0:
            raise DecodeError(f"llama.cpp's decode failed with {status}: {self._log.cause()}")

    def finite_logits(self, row: int) -> bool:
        """Whether the logits in ``row`` of the last batch can be drawn from.

        Looks at all, 20 us for 152,000 words: samplers order them, and a broken model's NaN has no
        order.
        """
        logits = native.llama_get_logits_ith(self.context, row)
        if are_finite(logits, self.vocabulary_size):
            return True
        from node_agent.engine.logits import broken, logits_of

        return not broken(logits_of(self, row))

    def truncate(self, slot: int, tokens: int) -> int:
        """Forget all but the first ``tokens`` of a slot; return how many it holds then.

        None, where the memory can't forget a part: recurrent models can't go back, and a sliding
        window may have lost what it would go back to.
        """
        removed = native.llama_memory_seq_rm(self._memory, slot, tokens, -1)
        if tokens and removed and self._holds(slot, tokens):
            return tokens
        native.llama_memory_seq_rm(self._memory, slot, -1, -1)
        return 0

    def copy(self, source: int, target: int) -> None:
        """Let a slot hold what another one does."""
        native.llama_memory_seq_rm(self._memory, target, -1, -1)
        native.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def _tokenise(self, text: str, *, special: bool) -> list[int]:
        return token_ids(self._vocabulary, text, add_special=False, special=special)

    def _holds(self, slot: int, tokens: int) -> bool:
        """Whether a slot has its tokens from the first to this one."""
        first = native.llama_memory_seq_pos_min(self._memory, slot)
        last = native.llama_memory_seq_pos_max(self._memory, slot)
        return bool(first == 0 and last == tokens - 1)

    def _open(
        self, path: Path, context_tokens: int, layers: int, progress: LoadProgress | None
    ) -> None:
        """Load with so many layers on the GPU; with fewer where it has no memory for them."""
        for self.gpu_layers in tries(layers):
            self._model = None
            try:
                self._model = self._load(path, progress)
                trained_tokens = native.llama_model_n_ctx_train(self._model)
                if trained_tokens <= 0:  # it does not say, or more than llama.cpp can count
                    trained_tokens = context_tokens
                self.context_tokens = min(context_tokens, trained_tokens)
                self.context = self._make_context(self._threads)
            except LoadError as failure:
                if self._model:
                    native.llama_model_free(self._model)
                if not self.gpu_layers or not out_of_memory(str(failure)):
                    raise
            else:
                return

    def _load(self, path: Path, progress: LoadProgress | None) -> object:
        model = load_weights(path, self._log, gpu_layers=self.gpu_layers, progress=progress)
        if native.llama_model_has_encoder(model) or not native.llama_model_has_decoder(model):
            raise LoadError("it is an encoder, so it can't generate text", _KIND_HINT)
        if native.llama_vocab_type(native.llama_model_get_vocab(model)) == _NO_VOCABULARY:
            raise LoadError("it has no vocabulary, so it can't generate text", _KIND_HINT)
        return model

    def _make_context(self, threads: int) -> object:
        settings = native.llama_context_default_params()
        settings.n_ctx = self.context_tokens * self.slots
        settings.n_seq_max = self.slots
        settings.n_batch = settings.n_ubatch = max(CHUNK_TOKENS_MAX, self.slots)
        settings.n_threads = settings.n_threads_batch = threads
        settings.kv_unified = False
        # Without layers there a GPU would still be handed long prompts, in buffers of its own.
        settings.op_offload = self.gpu_layers > 0
        if not self._flash:
            settings.flash_attn_type = native.LLAMA_FLASH_ATTN_TYPE_DISABLED
        settings.abort_callback = self._abort.callback
        settings.abort_callback_data = self._abort.data
        context = native.llama_init_from_model(self._model, settings)
        if not context:
            reason = self._log.cause() or "llama.cpp gave no reason"
            room = f"{self.slots} x {self.context_tokens} tokens"
            raise LoadError(f"no context of {room}: {reason}", _MEMORY_HINT)
        return context

    def _numerics(self, threads: int) -> str:
        """Return a fingerprint of whatever decides rounding: 12 hex digits."""
        facts = (
            PACKAGE_VERSION,
            native.llama_version(),
            native.llama_print_system_info(),
            devices(),
            ("gpu layers", self.gpu_layers),
            ("sampler", SAMPLER_VERSION),
            ("cache", "f16", "f16", "kv_unified", False),
            # With one slot a row is always alone, with several never where that would show.
            ("one slot", self.slots == 1),
            # Flash attention shares the keys of one row among the threads.
            ("flash", self._flash, threads if self._flash else 0),
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]

    def _native_piece(self, token: int) -> bytes:
        size_bytes = 64  # the call answers with the size it needs, negated
        for _ in range(2):
            buffer = ctypes.create_string_buffer(size_bytes)
            count = native.llama_token_to_piece(
                self._vocabulary, token, buffer, size_bytes, 0, False
            )
            if count >= 0:
                return buffer.raw[:count]
            size_bytes = -count
        raise DecodeError("llama.cpp can't name a token")


def load_weights(
    path: Path, log: NativeLog, *, gpu_layers: int = 0, progress: LoadProgress | None = None
) -> object:
    """Return llama.cpp's model of a file.

    Args:
        gpu_layers: how many of its layers go to the GPU.
        progress: is told how far it has come.

    Raises:
        LoadError: it is none, or there is no memory for it.
    """
    native.llama_backend_init()
    log.forget()
    settings = native.llama_model_default_params()
    settings.n_gpu_layers = gpu_layers
    if progress is not None:
        settings.progress_callback = progress.callback
    model = native.llama_model_load_from_file(os.fsencode(path), settings)
    if not model:
        raise LoadError(log.cause() or "llama.cpp gave no reason")
    return cast(object, model)


def token_ids(vocabulary: object, text: str, *, add_special: bool, special: bool) -> list[int]:
    """Return the ids of a text.

    Args:
        add_special: put around it what the model wants there, such as CLS and SEP.
        special: take the names of control tokens in the text for those tokens.
    """
    encoded = text.encode()
    # No token is shorter than a byte, but for a space put in front, and what is put around.
    room = len(encoded) + 8
    ids = (native.llama_token * room)()
    count = native.llama_tokenize(
        vocabulary, encoded, len(encoded), ids, room, add_special, special
    )
    if count < 0:
        raise DecodeError("llama.cpp can't tokenise the prompt")
    return list(ids[:count])
