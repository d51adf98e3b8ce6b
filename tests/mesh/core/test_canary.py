"""A model that is new to `auto` earns its traffic, or loses it."""

from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core import events
from mesh.core.actions import FinishRequest, StartAttempt, TellOperator
from mesh.core.asked import BIG, SMALL, Assessment
from mesh.core.canary import REST_S, Allowance, Newcomers
from mesh.core.climb import Climb, Step, climb_of
from mesh.core.limits import CANARY_SHARE
from mesh.core.outcomes import Label, Outcomes, Source, label
from mesh.core.policies import Policy
from mesh.core.receipt import Receipt
from mesh.core.trial import SHADOW_ANSWERS, TURNS, UNTOLD_MAX, Standing, Turn
from mesh.core.types import Capability, ModelId, Request, RequestKey, Tier
from tests.mesh.core.script import Script, a_model, of_type, only

NEW, USUAL = ModelId("new"), ModelId("usual")
NETWORKING = Assessment(domain="networking", task_class="networking", p_ok={SMALL: 0.5, BIG: 0.9})
REQUEST = Request(
    key=RequestKey("ann", "r"),
    model="auto",
    tier=Tier.MESH,
    policy=Policy.BALANCED,
    prompt_bytes=100,
    max_tokens=100,
    deadline_s=1e9,
    assessment=NETWORKING,
)
NEWCOMER = Step(NEW, "new", p_ok=0.0, rank=0.5, cost_microusd=1.0, guess=0.5, specialist=True)
INCUMBENT = Step(USUAL, "usual", p_ok=0.9, rank=0.9, cost_microusd=9.0, guess=0.9)


@dataclass
class Mesh:
    """One newcomer beside one incumbent, and the requests that come."""

    newcomer: Step = NEWCOMER
    incumbent: Step = INCUMBENT
    request: Request = REQUEST
    share: float = 1.0
    now_s: float = 0.0
    rng: Random = field(default_factory=lambda: Random(7))
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outcomes = Outcomes()
        self.newcomers = Newcomers(self.outcomes, self.share)

    def ask(self) -> Climb:
        climb = climb_of((self.newcomer, self.incumbent), self.request.policy)
        self.newcomers.put_back(climb)
        self.told += self.newcomers.consider(climb, self.request, self.rng, self.now_s)
        return climb

    def judge(self, accuracy: float, count: int, source: Source = Source.FEEDBACK) -> None:
        for _ in range(count):
            score = float(self.rng.random() < accuracy)
            given = label(source, NEW, "networking", guess=0.5, score=score)
            self.outcomes.learn(given)
            self.told += self.newcomers.judged(given, self.now_s)

    def standing(self) -> Standing | None:
        return self.newcomers.standing(NEW)


def test_every_standing_can_be_reached_and_none_but_by_the_table() -> None:
    assert {to for _, to in TURNS.items()} | {Standing.NEW} == set(Standing)
    assert {turn for _, turn in TURNS} == set(Turn)
    ends = set(Standing) - {standing for standing, _ in TURNS}
    assert ends == set(), "also one that was promoted may be forgotten"


def test_a_good_one_is_a_shadow_then_a_canary_then_promoted() -> None:
    mesh = Mesh()
    assert mesh.standing() is None
    assert mesh.ask().on_trial is None, "nobody has kept this answer"
    assert mesh.standing() is Standing.SHADOW
    climb = mesh.ask()
    assert climb.on_trial == NEW, "its answer is compared"
    assert climb.order[0] is INCUMBENT, "and nobody sees it"
    mesh.judge(0.9, SHADOW_ANSWERS - 1)
    assert mesh.standing() is Standing.SHADOW
    mesh.judge(0.9, 1)
    assert mesh.standing() is Standing.CANARY
    mesh.newcomers._canaries.saved = 1.0
    climb = mesh.ask()
    assert [step.model_id for step in climb.order] == [NEW, USUAL]
    assert climb.why == "new is new: a canary, after 50 compared answers"
    mesh.judge(0.9, 190)
    assert mesh.outcomes.trusted(NEW)
    assert mesh.standing() is Standing.PROMOTED
    assert [line.partition(":")[0] for line in mesh.told] == [
        "model new is a shadow now",
        "model new is a canary now",
        "model new is promoted now",
    ]
    assert mesh.told[1].endswith("over 50 answers, 0.80 is asked)"), mesh.told[1]


@pytest.mark.parametrize("source", [Source.FEEDBACK, Source.AUDIT])
@pytest.mark.parametrize("seed", range(5))
def test_a_bad_one_is_rolled_back_within_its_first_answers(seed: int, source: Source) -> None:
    mesh = Mesh(rng=Random(seed))
    mesh.ask()
    mesh.judge(0.2, SHADOW_ANSWERS, source)
    assert mesh.standing() is Standing.ROLLED_BACK
    assert "worse than what is asked of it" in mesh.told[-1]
    assert not mesh.newcomers.tried


def test_a_canary_that_gets_worse_is_rolled_back_and_tried_again_after_a_rest() -> None:
    mesh = Mesh()
    mesh.ask()
    mesh.judge(0.95, SHADOW_ANSWERS)
    assert mesh.standing() is Standing.CANARY
    mesh.judge(0.1, 60)
    assert mesh.standing() is Standing.ROLLED_BACK
    mesh.now_s = REST_S - 1
    assert mesh.ask().on_trial is None
    mesh.now_s = REST_S
    mesh.ask()
    assert mesh.standing() is Standing.SHADOW
    mesh.judge(0.9, SHADOW_ANSWERS)
    assert mesh.standing() is Standing.CANARY, "its record begins anew"
    mesh.judge(0.0, 120)
    mesh.now_s = 2 * REST_S
    mesh.ask()
    assert mesh.standing() is Standing.ROLLED_BACK, "the second rest is longer"


def test_one_as_good_as_the_incumbent_is_rarely_rolled_back() -> None:
    """Audits: two who are right 0.9 of the time, independently, agree 0.81 of it."""
    back = 0
    for seed in range(200):
        mesh = Mesh(rng=Random(seed), request=replace(REQUEST, policy=Policy("own", target=0.9)))
        mesh.ask()
        mesh.judge(0.81, 400, Source.AUDIT)
        back += mesh.standing() is Standing.ROLLED_BACK
    assert back <= 4, "of 200"


def test_one_that_is_good_enough_is_not_asked_to_be_as_good_as_the_best() -> None:
    mesh = Mesh(incumbent=replace(INCUMBENT, p_ok=0.99, rank=0.99))
    mesh.ask()
    mesh.judge(0.85, 260)
    assert mesh.standing() is Standing.PROMOTED


def test_what_was_said_before_anybody_met_it_counts_once_it_is_met() -> None:
    mesh = Mesh()
    mesh.judge(0.2, 60)  # told again after a restart
    assert mesh.standing() is None
    assert mesh.told == []
    mesh.ask()
    assert mesh.standing() is Standing.ROLLED_BACK


def test_a_word_that_is_taken_back_counts_once() -> None:
    mesh = Mesh()
    mesh.ask()
    mesh.judge(1.0, 30)
    for _ in range(30):
        given = label(Source.FEEDBACK, NEW, "", guess=0.5, score=0.0, instead_of=1.0)
        mesh.newcomers.judged(given, 0.0)
    assert mesh.standing() is Standing.ROLLED_BACK


@pytest.mark.parametrize("told", [0, 20])
def test_one_whose_answers_cannot_be_compared_is_not_tried_for_ever(told: int) -> None:
    mesh = Mesh()
    mesh.ask()
    mesh.judge(1.0, told)
    untold = Label(NEW, "networking", 0.5, 0.5, 0.0, Source.AUDIT)
    for _ in range(UNTOLD_MAX):
        assert mesh.standing() is Standing.SHADOW
        mesh.told += mesh.newcomers.judged(untold, 0.0)
    assert mesh.standing() is Standing.ROLLED_BACK
    assert "cannot be compared" in mesh.told[-1]


def test_now_and_then_a_comparison_that_tells_nothing_is_no_harm() -> None:
    mesh = Mesh()
    mesh.ask()
    untold = Label(NEW, "networking", 0.5, 0.5, 0.0, Source.AUDIT)
    for _ in range(260):
        mesh.judge(0.95, 1)
        mesh.newcomers.judged(untold, 0.0)
    assert mesh.standing() is Standing.PROMOTED


def test_one_that_was_rolled_back_answers_only_where_nobody_else_can() -> None:
    strong = replace(
        NEWCOMER, rank=0.95, specialist=False
    )  # a large one: by its size the likeliest
    mesh = Mesh(incumbent=replace(INCUMBENT, p_ok=0.7, rank=0.7), newcomer=strong)
    assert mesh.ask().order[0] is strong
    mesh.newcomers._trial(NEW).standing = Standing.ROLLED_BACK
    assert [step.model_id for step in mesh.ask().order] == [USUAL, NEW]


@pytest.mark.parametrize(
    ("why", "mesh"),
    [
        ("nobody else is there", Mesh(incumbent=replace(INCUMBENT, able=False))),
        ("it is not there", Mesh(newcomer=replace(NEWCOMER, able=False))),
        ("it is known", Mesh(newcomer=replace(NEWCOMER, p_ok=0.5))),
        ("other ground", Mesh(newcomer=replace(NEWCOMER, specialist=False, on_ground=False))),
        ("a rule is against it", Mesh(newcomer=replace(NEWCOMER, removed_by="rule 1"))),
        (
            "nobody is known, and it is no specialist",
            Mesh(
                newcomer=replace(NEWCOMER, specialist=False),
                incumbent=replace(INCUMBENT, p_ok=0.0),
            ),
        ),
        ("a session goes on", Mesh(incumbent=replace(INCUMBENT, stays=0.1))),
        (
            "tools cannot be compared",
            Mesh(request=replace(REQUEST, needs=frozenset({Capability.TOOLS}))),
        ),
        ("nothing is tried out", Mesh(request=replace(REQUEST, policy=Policy.BEST))),
        ("speed counts", Mesh(request=replace(REQUEST, policy=Policy.FAST))),
        ("nobody scores", Mesh(request=replace(REQUEST, assessment=Assessment()))),
        ("it is switched off", Mesh(share=0.0)),
    ],
)
def test_there_are_requests_that_are_no_place_for_a_trial(why: str, mesh: Mesh) -> None:
    climb = mesh.ask()
    assert (climb.on_trial, mesh.standing()) == (None, None), why


@given(st.integers(), st.floats(0.0, 1.0), st.integers(0, 600))
def test_the_share_is_never_exceeded_by_more_than_one(seed: int, share: float, asked: int) -> None:
    allowance, rng = Allowance(), Random(seed)
    drawn = sum(allowance.draw(share, rng) for _ in range(asked))
    assert drawn <= share * asked + 1.0 + 1e-9


def test_the_share_is_nearly_reached() -> None:
    allowance, rng = Allowance(), Random(3)
    drawn = sum(allowance.draw(CANARY_SHARE, rng) for _ in range(20_000))
    assert 0.6 * CANARY_SHARE <= drawn / 20_000 <= CANARY_SHARE


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "good", "bad"]), st.booleans(), st.booleans(), st.booleans()
        ),
        max_size=300,
    ),
    st.integers(),
)
def test_a_newcomer_never_comes_first_without_another_that_could_answer(
    history: list[tuple[str, bool, bool, bool]], seed: int
) -> None:
    mesh = Mesh(rng=Random(seed), share=0.5)
    asked = first = 0
    for what, able, other_able, known in history:
        if what != "ask":
            mesh.judge(float(what == "good"), 5)
            continue
        mesh.newcomer = replace(NEWCOMER, able=able)
        rank = 0.9 if known else 0.0
        mesh.incumbent = replace(INCUMBENT, able=other_able, p_ok=rank)
        climb = mesh.ask()
        asked += 1
        if climb.order[0].model_id == NEW and climb.on_trial == NEW:
            first += 1
            assert able
            assert other_able
            assert climb.order[1].model_id == USUAL
    assert first <= 0.5 * asked + 1.0


# -- in a fleet ------------------------------------------------------------------------------------

SPECIALIST = replace(a_model("mine", parameters=1_000_000), domains=("networking",))
LARGE = a_model("large", parameters=100_000_000)
WITH_LARGE = Assessment(
    domain="networking",
    task_class="networking",
    p_ok={"large": 0.9, SMALL: 0.5, BIG: 0.9},
    trusted=frozenset({"large"}),
)


@pytest.fixture
def fleet() -> Script:
    made = Script()
    made.attach("desk", SPECIALIST)
    made.attach("shelf", LARGE)
    made.happens(events.LadderConfigured(canary_share=1.0))
    return made


def answered(script: Script, request_id: str, assessment: Assessment = WITH_LARGE) -> Receipt:
    start = only(script.ask(request_id, "auto", assessment=assessment), StartAttempt)
    script.open(start)
    script.say_started(start)
    return only(script.finish(start, 3), FinishRequest).receipt


def judged(script: Script, count: int, score: float = 1.0) -> list[str]:
    told = []
    for _ in range(count):
        made = label(Source.TEST, SPECIALIST.model_id, "networking", guess=0.5, score=score)
        told += [
            each.line
            for each in of_type(script.happens(events.AnswersJudged((made,))), TellOperator)
        ]
    return told


def test_the_operator_and_the_receipt_say_how_far_a_specialist_has_come(fleet: Script) -> None:
    asked = fleet.ask("r0", "auto", assessment=WITH_LARGE)
    assert only(asked, TellOperator).line.startswith("model mine is a shadow now: ")
    fleet.cancel("r0")
    receipt = answered(fleet, "r1")
    rungs = {each.model_name: each for each in receipt.ladder}
    assert (rungs["large"].chosen, rungs["large"].standing) == (True, "")
    assert (rungs["mine"].chosen, rungs["mine"].standing) == (False, "shadow")
    [line] = judged(fleet, SHADOW_ANSWERS)
    assert line.startswith("model mine is a canary now: ")
    receipts = [answered(fleet, f"c{count}") for count in range(2)]
    canary = next(each for each in receipts if each.why.startswith("mine is new: a canary"))
    [rung] = [each for each in canary.ladder if each.chosen]
    assert (rung.model_name, rung.standing, rung.basis.on_trial) == ("mine", "canary", True)


def test_a_canary_that_is_busy_is_not_waited_for(fleet: Script) -> None:
    fleet.ask("r0", "auto", assessment=WITH_LARGE)
    fleet.cancel("r0")
    judged(fleet, SHADOW_ANSWERS)
    fleet.begin("busy", "mine")
    for count in range(3):
        assert answered(fleet, f"r{count + 1}").attempts[-1].model_name == "large"


def test_a_promoted_specialist_is_chosen_on_its_ground_alone(fleet: Script) -> None:
    answered(fleet, "r0")
    assert judged(fleet, 260)[-1].startswith("model mine is promoted now: ")
    receipt = answered(fleet, "r1")
    assert receipt.attempts[-1].model_name == "mine"
    assert receipt.why.startswith("mine is the cheapest that is good enough")
    elsewhere = replace(WITH_LARGE, domain="text", task_class="text")
    receipt = answered(fleet, "r2", elsewhere)
    assert receipt.attempts[-1].model_name == "large"
    assert {each.model_name: each.p_ok for each in receipt.ladder}["mine"] == 0.0
