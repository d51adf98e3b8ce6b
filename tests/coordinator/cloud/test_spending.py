"""A day's cap holds whatever is asked at once, and money is neither lost nor made on the way."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from coordinator.cloud.gate import Gate, Pass, Priced
from coordinator.cloud.prices import OwnPrice
from coordinator.cloud.spending import DAY_S, Spending
from mesh.core import events
from mesh.core.types import FailureCode, Tier, Usage
from mesh.settings import CloudSettings
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.cloud.asking import PROMPT, UPSTREAM, a_request, adapter, an_action
from tests.coordinator.cloud.played_upstream import Asked, PlayedUpstream, usage

CAP = 10_000
AMOUNTS = st.integers(0, CAP // 3)
NOON_S = 20_000 * DAY_S + DAY_S / 2


@dataclass
class Clock:
    now_s: float = NOON_S

    def __call__(self) -> float:
        return self.now_s


class OneDayAfterAnother(RuleBasedStateMachine):
    """Calls begin and end in any order while days pass and the clock is set back."""

    under_way = Bundle("under_way")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.spending = Spending(CAP, self.clock)
        self.reserved = 0
        self.spent_by_day: dict[int, int] = {}
        self.last_day = self.today

    @property
    def today(self) -> int:
        return int(self.clock.now_s // DAY_S)

    @property
    def spent(self) -> int:
        return self.spent_by_day.get(self.last_day, 0)

    def _count(self, microusd: int) -> None:
        self.spent_by_day[self.last_day] = self.spent + microusd

    @rule(target=under_way, microusd=AMOUNTS)
    def reserve(self, microusd: int) -> int:
        fits = self.spent + self.reserved + microusd <= CAP
        assert self.spending.reserve(microusd) is fits
        self.reserved += microusd if fits else 0
        return microusd if fits else 0

    @rule(reserved=consumes(under_way), share=st.fractions(0, 1))
    def settle(self, reserved: int, share: Fraction) -> None:
        actual = int(reserved * share)
        self.spending.settle(reserved, actual)
        self.reserved -= reserved
        self._count(actual)

    @rule(seconds=st.floats(0, 2 * DAY_S))
    def time_passes(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.last_day = max(self.last_day, self.today)

    @rule(seconds=st.floats(0, 2 * DAY_S))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.clock.now_s -= seconds

    @invariant()
    def what_is_left_is_what_was_not_taken(self) -> None:
        left = self.spending.left_microusd
        assert type(left) is int
        assert left == CAP - self.spent - self.reserved
        assert all(spent <= CAP for spent in self.spent_by_day.values())


TestOneDayAfterAnother = OneDayAfterAnother.TestCase


def test_midnight_utc_begins_a_new_day_and_not_a_second_before() -> None:
    clock = Clock(NOON_S)
    spending = Spending(CAP, clock)
    spending.seed_spent(CAP)
    clock.now_s = NOON_S + DAY_S / 2 - 0.001
    assert spending.left_microusd == 0
    clock.now_s += 0.001
    assert spending.left_microusd == CAP


def test_what_is_under_way_at_midnight_counts_on_the_day_it_ends() -> None:
    clock = Clock()
    spending = Spending(CAP, clock)
    assert spending.reserve(6_000)
    clock.now_s += DAY_S
    assert spending.left_microusd == 4_000
    spending.settle(6_000, 5_000)
    assert spending.left_microusd == 5_000


def test_a_clock_that_is_set_back_gives_no_money_back() -> None:
    clock = Clock()
    spending = Spending(CAP, clock)
    spending.seed_spent(9_000)
    clock.now_s -= 10 * DAY_S
    assert spending.left_microusd == 1_000


def test_what_was_spent_before_this_process_began_is_not_left() -> None:
    spending = Spending(CAP, Clock())
    assert spending.reserve(2_000)
    spending.seed_spent(7_000)
    assert spending.left_microusd == 1_000
    spending.seed_spent(7_000)
    assert spending.left_microusd == 0, "it was more than today's cap: yesterday's was higher"
    assert not spending.reserve(1)


def test_an_upstream_that_took_more_than_it_was_told_to_is_paid_and_stops_the_rest() -> None:
    spending = Spending(CAP, Clock())
    assert spending.reserve(1_000)
    spending.settle(1_000, 50_000)
    assert spending.left_microusd == 0
    assert not spending.reserve(1)


REQUESTS = st.builds(
    a_request,
    st.text(max_size=300),
    max_tokens=st.integers(0, 2_000),
)
PRICES = st.decimals(0, 100, places=4)


@given(
    requests=st.lists(st.tuples(REQUESTS, st.fractions(0, 1)), max_size=10),
    prices=st.tuples(PRICES, PRICES),
    cap=st.integers(0, 100_000),
    order=st.randoms(use_true_random=False),
)
def test_calls_that_interleave_never_spend_more_than_the_cap(
    requests: list[tuple[inference.GenerateRequest, Fraction]],
    prices: tuple[Decimal, Decimal],
    cap: int,
    order: Random,
) -> None:
    """As many as fit are under way at once, and end in any order with any part of their usage."""
    spending = Spending(cap, Clock())
    priced = Priced(UPSTREAM, OwnPrice(*prices))
    gate = Gate([priced], spending=spending, default_tier=Tier.MESH)
    admitted = [(gate.admit(an_action(), request), share) for request, share in requests]
    under_way = [(each, share) for each, share in admitted if isinstance(each, Pass)]
    assert sum(each.reserved_microusd for each, _ in under_way) <= cap
    order.shuffle(under_way)
    cost = 0
    for passed, share in under_way:
        most = int(passed.max_tokens * share)
        cost += gate.settle(passed, Usage(0, 0, most) if share else None)
        assert cost <= cap
        assert type(cost) is int
    assert spending.left_microusd == cap - cost


async def test_of_many_at_once_only_those_that_the_cap_covers_are_asked(
    cloud_settings: CloudSettings, upstream: PlayedUpstream
) -> None:
    """Each may cost a little more than $0.001, and takes all of it."""

    async def takes_all(asked: Asked) -> None:
        await asked.answer("x", usage=usage(100, asked.body["max_tokens"]))

    upstream.behave = takes_all
    async with adapter(cloud_settings.model_copy(update={"max_usd_per_day": 0.02})) as fleet:
        ids = [fleet.start(a_request(max_tokens=100)) for _ in range(60)]
        ended = [await fleet.ended(each) for each in ids]
        answered = [each for each in ended if isinstance(each, events.AttemptFinished)]
        turned_away = [each for each in ended if isinstance(each, events.AttemptFailed)]
        assert {each.failure.code for each in turned_away} == {FailureCode.FORBIDDEN}
        assert len(answered) == len(upstream.asked)
        assert 10 <= len(answered) <= 20
        assert fleet.spent_microusd == sum(each.cost_microusd for each in answered) <= 20_000


async def test_money_of_a_call_that_cost_less_is_there_for_the_next(
    cloud_settings: CloudSettings, upstream: PlayedUpstream
) -> None:
    """One call at a time fits; what it does not use is not lost."""
    async with adapter(cloud_settings.model_copy(update={"max_usd_per_day": 0.0025})) as fleet:
        for _ in range(20):
            await fleet.answer()
        assert fleet.spent_microusd == 20 * 40
    assert PROMPT in upstream.asked[-1].body["messages"][0]["content"]
