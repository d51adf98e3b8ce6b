"""Of a node's answer, what can be so is taken."""

import pytest

from mesh.core.types import Usage
from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answer_bounds import (
    CALLS_MAX,
    CHARACTERS_MAX,
    OVERSHOOT_TOKENS,
    TOKENS_MAX,
    AnswerBounds,
)

HUGE = Usage(
    prompt_tokens=2**32 - 1,
    cached_tokens=2**32 - 1,
    completion_tokens=2**32 - 1,
    reasoning_tokens=2**32 - 1,
)


def delta(ids: int = 0, text: str = "", calls: int = 0) -> inference.GenerationDelta:
    tool_calls = [inference.ToolCall() for _ in range(calls)]
    return inference.GenerationDelta(ids=[7] * ids, text=text, tool_calls=tool_calls)


def test_more_tokens_than_were_asked_for_end_an_answer() -> None:
    bounds = AnswerBounds(max_tokens=5)
    bounds.add(delta(5), 5)
    bounds.add(delta(), 5 + OVERSHOOT_TOKENS)  # guessed ones may be some more
    with pytest.raises(InvalidRequest, match="where 5 were asked for"):
        bounds.add(delta(1), 1)


def test_an_answer_without_a_limit_has_that_of_the_longest_context() -> None:
    bounds = AnswerBounds()
    bounds.add(delta(), TOKENS_MAX)
    with pytest.raises(InvalidRequest, match="tokens"):
        bounds.add(delta(), 1)


def test_text_without_tokens_has_an_end() -> None:
    bounds = AnswerBounds(max_tokens=5)
    bounds.add(delta(text="x" * CHARACTERS_MAX), 0)
    with pytest.raises(InvalidRequest, match="characters as one answer"):
        bounds.add(delta(text="x"), 0)


def test_calls_have_an_end() -> None:
    bounds = AnswerBounds()
    bounds.add(delta(calls=CALLS_MAX), 0)
    with pytest.raises(InvalidRequest, match="tool calls as one answer"):
        bounds.add(delta(calls=1), 0)


def test_ids_that_no_context_holds_begin_no_answer() -> None:
    bounds = AnswerBounds()
    longest = inference.GenerationStarted(prompt_ids=[1 << 20] * TOKENS_MAX)
    bounds.begin(longest)
    longest.prompt_ids.extend([1 << 20] * 4096)
    with pytest.raises(InvalidRequest, match="began an answer"):
        bounds.begin(longest)


def test_of_tokens_told_by_their_ids_no_more_are_booked() -> None:
    bounds = AnswerBounds(resumed_tokens=100, prompt_tokens_max=50)
    bounds.add(delta(3), 3)
    booked = bounds.booked(HUGE)
    assert (booked.prompt_tokens, booked.cached_tokens) == (50, 50)
    assert 103 <= booked.completion_tokens < 103 + 300  # those of a stop string are not told
    assert booked.reasoning_tokens == booked.completion_tokens


def test_what_can_be_so_is_booked_as_it_is_said() -> None:
    said = Usage(prompt_tokens=40, cached_tokens=30, completion_tokens=3, estimated=True)
    bounds = AnswerBounds(prompt_tokens_max=50)
    bounds.add(delta(3), 3)
    assert bounds.booked(said) == said


def test_of_an_engine_that_tells_no_ids_its_own_count_is_booked() -> None:
    bounds = AnswerBounds()
    bounds.add(delta(text="a whole answer"), 1)
    assert bounds.booked(Usage(completion_tokens=900)).completion_tokens == 900
    assert bounds.booked(HUGE).completion_tokens == TOKENS_MAX
