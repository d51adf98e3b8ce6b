"""What is asked of a model and what comes back, in terms that no transport and no engine owns."""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.core.chat import MODEL_DECIDES, Form, Message, Tool, ToolCall, ToolChoice
from mesh.core.signs import TokenSign
from mesh.core.types import FinishReason, Usage

LOGPROBS_MAX = 20  # alternatives a token, as OpenAI allows
LOGPROB_MIN = -9999.0  # nats; stands for what is impossible, as no infinity is JSON
TOKEN_BYTES_MAX = 1024  # the longest tokens we know, runs of spaces, have some 250


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. The defaults are those of llama.cpp."""

    temperature: float = 0.8  # 0: greedy
    top_k: int = 40  # 0: all
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int = 0  # the coordinator draws one where the client gave none
    logit_bias: tuple[tuple[int, float], ...] = ()  # token id, and what is added to its logit


@dataclass(frozen=True, slots=True)
class Resume:
    """An answer that was cut, to be continued from exactly there."""

    prompt_ids: tuple[int, ...]  # as ``Started`` told them: a template may render anew otherwise
    emitted_ids: tuple[int, ...]  # every id of the answer so far
    text_bytes_sent: int = 0  # UTF-8 bytes of its text that whoever asked has; no more come twice


@dataclass(frozen=True, slots=True)
class Generation:
    """The work of one attempt, as an engine gets it."""

    messages: tuple[Message, ...]
    sampling: Sampling
    max_tokens: int  # > 0; the context may end the answer earlier
    stop: tuple[str, ...] = ()
    logprobs: int | None = None  # alternatives told for each token; None: no log-probabilities
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = MODEL_DECIDES
    form: Form | None = None  # None: free text
    resume: Resume | None = None
    block_hashes: tuple[int, ...] = ()  # of the prompt's prefixes, chained; told back in reports
    signs: bool = False  # tell with each token how sure the model was of it


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt is tokenised and accepted; tokens follow.

    Of a resumed answer: those after the ones that were emitted before.
    """

    prompt_ids: tuple[int, ...]
    cached_tokens: int
    context_tokens: int
    numerics: str  # fingerprint of whatever decides rounding: build, backend, CPU, cache types
    # Both are empty for an engine that gives text without its tokens: such an answer is nobody
    # else's to continue.


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that the model might have said, and how likely it was."""

    id: int
    logprob: float  # natural logarithm, <= 0 nats
    text: bytes  # what it adds to an answer: maybe half a character; nothing for control tokens


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """How likely the model itself held a token of its answer to be.

    By the softmax of the model's own logits, before penalties, temperature and filters, as OpenAI
    gives them. So the token drawn may be less likely than its alternatives, or not among them.
    """

    id: int
    logprob: float  # natural logarithm, <= 0 nats
    text: bytes  # as an alternative's
    alternatives: tuple[Alternative, ...]  # the likeliest tokens, this one included; highest first


@dataclass(frozen=True, slots=True)
class Delta:
    """Some tokens of the answer."""

    token_offset: int  # of the first token, counted from the answer's start
    ids: tuple[int, ...]
    text: str  # may be empty: half of a character, or of a stop string, is held back
    logprobs: tuple[TokenLogprob, ...] = ()  # one for each id, if they were asked for
    reasoning: str = ""  # the model's own thoughts, kept apart from its answer
    tool_calls: tuple[ToolCall, ...] = ()  # each one whole
    signs: tuple[TokenSign, ...] = ()  # one for each id, if they were asked for
    without_ids: int = 0  # tokens, by an engine that tells none of their ids

    @property
    def tokens(self) -> int:
        """How many tokens these are."""
        return len(self.ids) or self.without_ids

    @staticmethod
    def joined(deltas: "Sequence[Delta]") -> "Delta":
        """Return one that says what several in a row do; at least one."""
        if len(deltas) == 1:
            return deltas[0]
        return Delta(
            deltas[0].token_offset,
            tuple(token for delta in deltas for token in delta.ids),
            "".join(delta.text for delta in deltas),
            tuple(told for delta in deltas for told in delta.logprobs),
            "".join(delta.reasoning for delta in deltas),
            tuple(call for delta in deltas for call in delta.tool_calls),
            tuple(sign for delta in deltas for sign in delta.signs),
            sum(delta.without_ids for delta in deltas),
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole."""

    reason: FinishReason
    usage: Usage
    prefill_s: float  # seconds the engine spent on the prompt
    decode_s: float  # seconds it spent on the answer


GenerationEvent = Started | Delta | Finished
