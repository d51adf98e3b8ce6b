"""Draws tokens with llama.cpp's samplers, such that a draw depends on nothing but its inputs.

A usual sampler carries the state of its random generator from token to token, so an answer can't
be continued elsewhere. Here each draw has a fresh generator, seeded with hash(seed, position): any
engine that holds the same prompt and tokens draws the same next one. Whoever changes what is drawn
from the same logits must raise SAMPLER_VERSION.
"""

import ctypes
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from mesh.core.generation import Sampling
from mesh.errors import InternalError
from node_agent.engine.bindings import native

if TYPE_CHECKING:
    from node_agent.engine.constraint import Constraint
    from node_agent.engine.llama import Llama

SAMPLER_VERSION = 1

_PENALTY_WINDOW_TOKENS = 64  # llama.cpp's default
_GREEDY_BELOW = 1e-6  # leaves nothing to chance; a logit divided by much less overflows its float
_KEEP_MIN = 1  # no filter may remove the last candidate


class Sampler:
    """The draws of one answer. Owns native memory until ``close``.

    ``held_ids`` is what comes before the next draw: the prompt, and what was drawn of the answer.
    """

    def __init__(
        self,
        llama: "Llama",
        sampling: Sampling,
        held_ids: Sequence[int],
        constraint: "Constraint | None" = None,
    ) -> None:
        self._llama = llama
        self._seed = sampling.seed
        self._constraint = constraint
        self._chain = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
        self._favour(sampling.logit_bias, llama.vocabulary_size)
        self._penalise(sampling, llama.vocabulary_size, held_ids)
        self._greedy = sampling.temperature < _GREEDY_BELOW
        if self._greedy:
            self._add(native.llama_sampler_init_greedy())
        else:  # in llama.cpp's own order
            self._add(native.llama_sampler_init_top_k(sampling.top_k))
            self._add(native.llama_sampler_init_top_p(sampling.top_p, _KEEP_MIN))
            self._add(native.llama_sampler_init_min_p(sampling.min_p, _KEEP_MIN))
            self._add(native.llama_sampler_init_temp(sampling.temperature))

    def draw(self, row: int, position: int) -> int:
        """Return a token drawn from the logits in ``row`` of the last batch, and remember it.

        ``position`` is the token's offset in the answer.

        Raises:
            InternalError: the model gave something else than numbers.
            InvalidRequest: the constraint leaves no token.
        """
        if not self._llama.finite_logits(row):
            raise InternalError(
                "the model gave numbers that are none (NaN or infinite)",
                hint="use another file of the model; this one is broken",
            )
        if self._constraint is None:
            return self._sample(row, position)
        from node_agent.engine.logits import logits_of

        logits = logits_of(self._llama, row)
        told = logits.copy()  # whoever asks for log-probabilities wants the model's own
        self._constraint.narrow(logits)
        token = self._sample(row, position)
        logits[:] = told
        return token

    def _sample(self, row: int, position: int) -> int:
        context = self._llama.context
        if self._greedy:
            return int(native.llama_sampler_sample(self._chain, context, row))
        self._add(native.llama_sampler_init_dist(draw_seed(self._seed, position)))
        token = int(native.llama_sampler_sample(self._chain, context, row))
        last = native.llama_sampler_chain_n(self._chain) - 1
        native.llama_sampler_free(native.llama_sampler_chain_remove(self._chain, last))
        return token

    def close(self) -> None:
        """Free it; nothing may be drawn afterwards."""
        native.llama_sampler_free(self._chain)

    def _add(self, sampler: object) -> None:
        native.llama_sampler_chain_add(self._chain, sampler)

    def _favour(self, biases: Sequence[tuple[int, float]], vocabulary_size: int) -> None:
        if not biases:
            return
        array = (native.llama_logit_bias * len(biases))(*biases)
        pointer = ctypes.cast(array, ctypes.POINTER(native.llama_logit_bias))
        self._add(native.llama_sampler_init_logit_bias(vocabulary_size, len(biases), pointer))

    def _penalise(self, sampling: Sampling, vocabulary_size: int, held_ids: Sequence[int]) -> None:
        penalties = (
            sampling.repeat_penalty,
            sampling.frequency_penalty,
            sampling.presence_penalty,
        )
        if penalties == (1.0, 0.0, 0.0):  # a search through the whole vocabulary: only when asked
            return
        self._add(
            native.llama_sampler_init_penalties(vocabulary_size, _PENALTY_WINDOW_TOKENS, *penalties)
        )
        for token in held_ids[-_PENALTY_WINDOW_TOKENS:]:
            native.llama_sampler_accept(self._chain, token)


def draw_seed(seed: int, position: int) -> int:
    """Return the 32-bit seed of one draw; ``seed`` and ``position`` in [0, 2^64)."""
    hashed = blake2b(seed.to_bytes(8, "little") + position.to_bytes(8, "little"), digest_size=4)
    value = int.from_bytes(hashed.digest(), "little")
    # llama.cpp takes this one value for "seed yourself from the clock".
    return value if value != native.LLAMA_DEFAULT_SEED else 0
