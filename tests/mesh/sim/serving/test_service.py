"""The played engine takes the time that the real one takes."""

from random import Random

import pytest

from mesh.core.types import AttemptId
from mesh.sim.serving.service import Pace, Service, Work
from node_agent.engine.chunks import ChunkSizer
from node_agent.engine.scheduler import Chunk, Held, Scheduler, Step

PACE = Pace(prefill_token_s=0.002, step_s=0.02, batch_cost=0.5)  # chunks of 50 tokens
Ends = dict[int, tuple[float, float]]  # attempt -> first token, last token


def played(pace: Pace, works: list[tuple[float, Work]]) -> Ends:
    """Play works, each with the moment at which it comes, in order."""
    firsts: dict[AttemptId, float] = {}
    service, ends = Service(pace), {}
    coming = list(works)
    while coming or len(service):
        if coming and coming[0][0] <= service.next_s:
            at_s, work = coming.pop(0)
            service.begin(work, at_s)
            continue
        now_s = service.next_s
        service.advance(now_s)
        while (read := service.pop_read()) is not None:
            firsts[read.attempt_id] = now_s
        while (done := service.pop_done()) is not None:
            ends[done.attempt_id] = (firsts[done.attempt_id], now_s)
    return {int(number): both for number, both in ends.items()}


def stepped(pace: Pace, works: list[Work]) -> Ends:
    """Let the real scheduler decide each step of works that all come at once."""
    sizer = ChunkSizer()
    sizer.learn(100, 100 * pace.prefill_token_s)
    scheduler = Scheduler(len(works), sizer)
    for work in works:
        prompt = [work.attempt_id * 10_000 + each for each in range(work.prompt_tokens)]
        scheduler.add(work.attempt_id, Held(prompt, len(prompt)))
    while scheduler.admit() is not None:
        pass
    lengths = {int(work.attempt_id): work.output_tokens for work in works}
    firsts: dict[int, float] = {}
    said, ends, now_s = dict.fromkeys(lengths, 0), {}, 0.0
    while (step := scheduler.next_step()) is not None:
        duration_s = _duration_s(pace, step)
        now_s += duration_s
        scheduler.done(step, duration_s)
        sequences = [step.sequence] if isinstance(step, Chunk) else step.sequences
        for sequence in sequences:
            if sequence is None or (isinstance(step, Chunk) and not step.last):
                continue
            number = sequence.number
            said[number] += 1
            firsts.setdefault(number, now_s)
            if said[number] == lengths[number]:
                ends[number] = (firsts[number], now_s)
                scheduler.remove(number)
            else:
                scheduler.draw(sequence, 1)
    return ends


def _duration_s(pace: Pace, step: Step) -> float:
    if isinstance(step, Chunk):
        return len(step.rows) * pace.prefill_token_s
    return pace.batch_s(len(step.rows))


def test_one_alone_reads_and_says_at_full_speed() -> None:
    ends = played(PACE, [(1.0, Work(AttemptId(1), 100, 11))])
    assert ends[1] == pytest.approx((1.2, 1.4))


def test_an_answer_of_one_token_ends_with_its_prompt() -> None:
    assert played(PACE, [(0.0, Work(AttemptId(1), 100, 1))])[1] == pytest.approx((0.2, 0.2))


def test_many_together_say_more_in_all_and_less_each() -> None:
    ends = played(PACE, [(0.0, Work(AttemptId(number), 1, 1001)) for number in range(4)])
    took_s = ends[3][1]
    assert took_s == pytest.approx(1000 * 0.02 * 2.5, rel=0.01)
    assert 4000 / took_s > 1000 / (1000 * 0.02), "more than one alone would say"


def test_a_prompt_slows_those_who_decode_and_they_slow_it() -> None:
    streaming = Work(AttemptId(1), 1, 1001)
    ends = played(PACE, [(0.0, streaming), (1.0, Work(AttemptId(2), 500, 2))])
    # Ten chunks of 0.1 s, each with a step of 0.02 s behind it.
    assert ends[2][0] - 1.0 == pytest.approx(10 * 0.12)


@pytest.mark.parametrize("seed", range(5))
def test_it_takes_as_long_as_the_real_scheduler_step_by_step(seed: int) -> None:
    rng = Random(seed)
    works = [
        Work(AttemptId(number), rng.randint(200, 2000), rng.randint(20, 300))
        for number in range(1, rng.randint(2, 6))
    ]
    ours, theirs = played(PACE, [(0.0, each) for each in works]), stepped(PACE, works)
    for number, (first_s, last_s) in theirs.items():
        # Who reads is off by a turn of everybody at most: chunks are whole, rates are not.
        turn_s = len(works) * (0.1 + PACE.batch_s(len(works)))
        assert ours[number][0] == pytest.approx(first_s, abs=turn_s)
        assert ours[number][1] == pytest.approx(last_s, abs=2 * turn_s)


def test_one_that_is_stopped_leaves_its_share_to_the_others() -> None:
    service = Service(PACE)
    for number in (1, 2):
        service.begin(Work(AttemptId(number), 100, 10), 0.0)
    service.stop(AttemptId(1), 0.1)  # half of each of two halves is read
    assert service.next_s == pytest.approx(0.1 + 75 * 0.002)
    assert len(service) == 1


def test_whole_tokens_are_told_while_an_answer_comes() -> None:
    service = Service(PACE)
    service.begin(Work(AttemptId(1), 100, 10), 0.0)
    service.advance(0.2)
    assert service.pop_read() is not None
    service.advance(0.2 + 3.5 * 0.02)
    assert [said for _, said in service.said()] == [4]
