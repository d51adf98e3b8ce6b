"""What an operator's rules do to the models that could answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.conditions import Conditions
from mesh.core.facts import Facts
from mesh.core.model_choice import Models
from mesh.core.rules import Rules
from mesh.core.types import Tier
from mesh.core.verdict import NOTHING_SAID, Effect, Rule, Verdict
from tests.mesh.core.entries import ENTRIES, NAMES, named

SMALL, CODER, LLAMA, LARGE, MINI, GPT = NAMES
OPS = Conditions(team=("ops",))
FACTS = Facts(team="ops", domain="code")


def a_rule(name: str = "rule", **effects: Any) -> Rule:
    models = {
        key: Models((value,) if isinstance(value, str) else value)
        for key, value in effects.items()
        if key in ("allow", "forbid", "pin", "prefer")
    }
    return Rule(name=name, **{**effects, **models})


def judged(*rules: Rule, facts: Facts = FACTS) -> Verdict:
    return Rules(rules).judge(facts, ENTRIES)


def left(*rules: Rule, facts: Facts = FACTS) -> set[str]:
    """The names of those that may answer."""
    removed = judged(*rules, facts=facts).removed
    return {entry.name for entry in ENTRIES if entry.model_id not in removed}


@pytest.mark.parametrize(
    ("effects", "names"),
    [
        ({"allow": "local"}, {SMALL, CODER, LLAMA, LARGE}),
        ({"forbid": "cloud"}, {SMALL, CODER, LLAMA, LARGE}),
        ({"forbid": ("cloud", "size>7b")}, {SMALL, CODER}),
        ({"pin": "coder"}, {CODER}),
        ({"pin": "specialists"}, {CODER}),
        ({"pin": "nobody-has-this"}, set()),
        ({"prefer": "cloud"}, set(NAMES)),
        ({"tier_max": Tier.MESH}, {SMALL, CODER, LLAMA, LARGE}),
        ({"tier_max": Tier.DEVICE}, set()),
        ({"cost_microusd_max": 5}, set(NAMES)),
    ],
)
def test_an_effect_leaves_these_models(effects: dict[str, Any], names: set[str]) -> None:
    assert left(a_rule(**effects)) == names


def test_a_prompt_of_the_coordinators_own_host_may_stay_on_its_device() -> None:
    here = Facts(on_coordinator_host=True)
    rule = a_rule(tier_max=Tier.DEVICE)
    assert left(rule, facts=here) == {SMALL, CODER, LLAMA, LARGE}
    assert judged(rule, facts=here).tier_max is Tier.DEVICE


def test_what_was_removed_says_by_which_rule_and_how() -> None:
    verdict = judged(a_rule("no secrets", forbid="cloud"))
    assert verdict.removed.keys() == named(MINI, GPT)
    assert set(verdict.removed.values()) == {"rule 'no secrets' forbids cloud"}


def test_whoever_took_a_model_away_first_is_named() -> None:
    verdict = judged(a_rule("first", forbid="gpt-4o"), a_rule("second", forbid="cloud"))
    (gpt,) = named(GPT)
    (mini,) = named(MINI)
    assert verdict.removed[gpt].startswith("rule 'first'")
    assert verdict.removed[mini].startswith("rule 'second'")
    assert [each.model_ids for each in verdict.applied] == [(gpt,), (mini,)]


def test_a_rule_that_does_not_match_does_nothing() -> None:
    other = Facts(team="dev")
    assert judged(a_rule(when=OPS, forbid="any"), facts=other) is NOTHING_SAID
    assert left(a_rule(when=OPS, forbid="any")) == set()


def test_an_exception_keeps_a_rule_from_applying() -> None:
    rule = a_rule(when=OPS, unless=Conditions(initiator=("human",)), forbid="cloud")
    assert GPT not in left(rule)
    assert GPT in left(rule, facts=Facts(team="ops", initiator="human"))


def test_all_rules_that_match_apply() -> None:
    assert left(a_rule("a", allow="local"), a_rule("b", forbid="family:qwen")) == {LLAMA}
    assert left(a_rule("a", allow="family:qwen"), a_rule("b", allow="size<=8b")) == {SMALL, CODER}


@pytest.mark.parametrize("turned", [False, True])
def test_forbidding_wins_wherever_it_stands(turned: bool) -> None:
    rules = [
        a_rule("pins", pin="gpt-4o"),
        a_rule("allows", allow="any"),
        a_rule("prefers", prefer="gpt-4o"),
        a_rule("forbids", forbid="cloud"),
    ]
    verdict = judged(*(reversed(rules) if turned else rules))
    assert verdict.removed.keys() == named(*NAMES)
    assert verdict.preferred == ()


def test_the_first_pin_counts_and_the_other_is_told() -> None:
    verdict = judged(a_rule("first", pin="coder"), a_rule("second", pin="gpt-4o"))
    assert verdict.removed.keys() == named(*NAMES) - named(CODER)
    assert verdict.applied[1].words == "would pin gpt-4o, but 'first' pins before it"


def test_preferences_stand_in_the_order_of_the_rules_and_of_their_texts() -> None:
    verdict = judged(
        a_rule("a", prefer=("gpt-4o", "coder")),
        a_rule("b", prefer="local"),
        a_rule("c", forbid="llama*"),
    )
    order = [
        entry.model_id
        for name in (GPT, CODER, SMALL, LARGE)
        for entry in ENTRIES
        if entry.name == name
    ]
    assert list(verdict.preferred) == order


def test_the_least_cap_and_the_nearest_tier_count() -> None:
    verdict = judged(
        a_rule("a", cost_microusd_max=500, tier_max=Tier.MESH),
        a_rule("b", cost_microusd_max=90, tier_max=Tier.CLOUD),
        a_rule("c", cost_microusd_max=700),
    )
    assert (verdict.cost_microusd_max, verdict.tier_max) == (90, Tier.MESH)


def test_what_each_rule_did_is_told_in_the_order_of_the_list() -> None:
    verdict = judged(
        a_rule("a", prefer="coder", cost_microusd_max=1_000),
        a_rule("b", forbid="cloud", tier_max=Tier.MESH),
        a_rule("c", allow="any"),
    )
    told = [(each.rule, each.effect, each.words) for each in verdict.applied]
    assert told == [
        ("a", Effect.PREFER, "prefers coder"),
        ("a", Effect.COST_MAX, "caps the request's cost at $0.001000"),
        ("b", Effect.FORBID, "forbids cloud"),
        ("b", Effect.TIER_MAX, "lets it go no further than the mesh"),
        ("c", Effect.ALLOW, "allows only any"),
    ]


def test_words_are_looked_for_by_rule_and_by_exception() -> None:
    rules = Rules(
        [
            a_rule(
                "no secrets",
                when=Conditions(words=("secret", "password")),
                unless=Conditions(words=("public",)),
                forbid="cloud",
            )
        ]
    )
    for prompt, stays in [("my password", True), ("hello", False), ("a public secret", False)]:
        facts = Facts(words_matched=rules.words.matched(prompt))
        assert bool(rules.judge(facts, ENTRIES).removed) is stays


def test_without_rules_nothing_is_said_and_nothing_made() -> None:
    assert Rules().judge(FACTS, ENTRIES) is NOTHING_SAID
    assert not Rules()
    assert not Rules().words


def test_a_rule_with_bad_hours_is_named() -> None:
    with pytest.raises(ValueError, match="rule 'night': '9' are no hours"):
        Rules([a_rule("night", when=Conditions(hours=("9",)), forbid="cloud")])


TEXTS = st.sampled_from(["any", "local", "cloud", "family:qwen", "size<=8b", "specialists", "gpt*"])
EFFECTS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("allow", "forbid", "pin", "prefer"), TEXTS)
    | {"cost_microusd_max": st.integers(0, 99), "tier_max": st.sampled_from(Tier)},
)
WHENS = st.sampled_from([Conditions(), OPS, Conditions(team=("dev",)), Conditions(tools=False)])
LISTS = st.lists(st.tuples(EFFECTS, WHENS), max_size=6).map(
    lambda given: [a_rule(f"r{n}", when=w, **e) for n, (e, w) in enumerate(given)]
)


@given(LISTS)
def test_whatever_the_list_the_verdict_is_sound(rules: list[Rule]) -> None:
    verdict = judged(*rules)
    ids = {entry.model_id for entry in ENTRIES}
    assert verdict.removed.keys() <= ids
    assert set(verdict.preferred) <= ids - verdict.removed.keys()
    assert len(set(verdict.preferred)) == len(verdict.preferred)
    told = {
        model_id
        for each in verdict.applied
        if each.effect not in ("prefer", "cost_max")
        for model_id in each.model_ids
    }
    assert told == verdict.removed.keys()


@given(LISTS, LISTS)
def test_a_rule_more_never_opens_what_was_closed(rules: list[Rule], more: list[Rule]) -> None:
    before = judged(*rules).removed.keys()
    renamed = [
        a_rule(f"more {n}", forbid=each.forbid.texts)
        for n, each in enumerate(more)
        if each.forbid is not None
    ]
    assert before <= judged(*rules, *renamed).removed.keys()
    assert before <= judged(*renamed, *rules).removed.keys()


@given(
    st.permutations(
        [
            a_rule("a", forbid="cloud"),
            a_rule("b", allow="size<=8b"),
            a_rule("c", tier_max=Tier.MESH),
            a_rule("d", cost_microusd_max=5),
        ]
    )
)
def test_what_is_removed_does_not_depend_on_the_order(rules: list[Rule]) -> None:
    verdict = judged(*rules)
    assert verdict.removed.keys() == named(LLAMA, LARGE, MINI, GPT) - named(LLAMA)
    assert verdict.cost_microusd_max == 5
