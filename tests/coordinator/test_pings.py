"""The round trip is measured here: no answer, none in time and a made-up one do not shorten it."""

from coordinator.pings import OPEN_MAX, RTT_S_MAX, Pings


def test_an_answer_tells_the_round_trip_once() -> None:
    pings = Pings()
    nonce = pings.sent(10.0)
    assert nonce is not None
    assert pings.answered(nonce, 10.25) == 0.25
    assert pings.answered(nonce, 10.5) is None


def test_numbers_cannot_be_guessed_from_earlier_ones() -> None:
    pings = Pings()
    nonces = [nonce for second in range(OPEN_MAX) if (nonce := pings.sent(second)) is not None]
    near = {nonce + step for nonce in nonces for step in range(-1000, 1000) if step}
    assert not near & {*nonces}
    assert all(pings.answered(guessed, 0.0) is None for guessed in range(1000))


def test_one_missing_answer_may_be_our_own_stall() -> None:
    pings = Pings()
    pings.sent(0.0)
    assert pings.at_least_s(30.0) is None


def test_a_node_that_answers_no_pings_is_as_far_as_they_are_old() -> None:
    pings = Pings()
    pings.sent(0.0)
    pings.sent(5.0)
    assert pings.at_least_s(10.0) == 10.0
    assert pings.at_least_s(1e6) == RTT_S_MAX


def test_an_answer_to_a_later_ping_closes_the_earlier_ones() -> None:
    pings = Pings()
    first, second = pings.sent(0.0), pings.sent(5.0)
    assert first is not None
    assert second is not None
    assert pings.answered(second, 5.1) is not None
    assert pings.at_least_s(100.0) is None
    assert pings.answered(first, 5.2) is None


def test_no_more_are_sent_to_one_that_answers_none() -> None:
    pings = Pings()
    nonces = [pings.sent(float(second)) for second in range(100)]
    assert len([nonce for nonce in nonces if nonce is not None]) == OPEN_MAX
