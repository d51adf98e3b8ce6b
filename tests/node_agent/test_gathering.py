"""Which tokens travel together."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.generation import Delta, TokenLogprob
from node_agent.gathering import Gathering


def delta(offset: int, tokens: int = 1) -> Delta:
    ids = range(offset, offset + tokens)
    told = tuple(TokenLogprob(token, -1.0, b"x", ()) for token in ids)
    return Delta(offset, tuple(ids), "x" * tokens, told)


def test_the_first_token_is_due_at_once() -> None:
    gathering = Gathering(interval_s=10.0, tokens_max=16)
    assert gathering.wait_s(5.0) is None
    gathering.add(delta(0))
    assert gathering.wait_s(5.0) == 0.0


def test_later_tokens_wait_for_what_is_left_of_the_interval() -> None:
    gathering = Gathering(interval_s=1.0, tokens_max=16)
    gathering.add(delta(0))
    gathering.take(5.0)
    gathering.add(delta(1))
    assert gathering.wait_s(5.25) == 0.75
    assert gathering.wait_s(6.0) == 0.0


def test_a_token_after_a_pause_is_due_at_once() -> None:
    gathering = Gathering(interval_s=1.0, tokens_max=16)
    gathering.add(delta(0))
    gathering.take(5.0)
    gathering.add(delta(1))
    assert gathering.wait_s(7.0) == 0.0


def test_a_full_batch_is_due_at_once() -> None:
    gathering = Gathering(interval_s=1.0, tokens_max=3)
    gathering.add(delta(0))
    gathering.take(5.0)
    gathering.add(delta(1, tokens=2))
    assert gathering.wait_s(5.0) == 1.0
    gathering.add(delta(3))
    assert gathering.wait_s(5.0) == 0.0


def test_without_an_interval_nothing_waits() -> None:
    gathering = Gathering(interval_s=0.0, tokens_max=0)
    for offset in range(3):
        gathering.add(delta(offset))
        assert gathering.wait_s(5.0) == 0.0
        assert gathering.take(5.0) == delta(offset)


@given(
    st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 4)), max_size=40),
    st.floats(0, 1),
    st.integers(0, 8),
)
def test_no_token_is_lost_repeated_or_moved(
    steps: list[tuple[float, int]], interval_s: float, tokens_max: int
) -> None:
    gathering = Gathering(interval_s=interval_s, tokens_max=tokens_max)
    now_s, offset, sent = 0.0, 0, []
    for pause_s, tokens in steps:
        now_s += pause_s
        gathering.add(delta(offset, tokens))
        offset += tokens
        if gathering.wait_s(now_s) == 0.0:
            sent.append(gathering.take(now_s))
    sent.append(gathering.take(now_s))
    told = [each for each in sent if each is not None]
    assert [token for each in told for token in each.ids] == list(range(offset))
    assert "".join(each.text for each in told) == "x" * offset
    for each in told:
        assert tuple(one.id for one in each.logprobs) == each.ids
        assert each.ids in ((), tuple(range(each.token_offset, each.token_offset + len(each.ids))))
