"""Ways to answer the same questions, and what each came to."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.ladder_answers import How, Told, ask_all
from bench.ladder_questions import Question, of_domain
from bench.ladder_rungs import TINY, Rungs
from bench.result import percentile
from mesh.client import MeshClient

LARGE, SMALL, SPECIALIST, TINIEST = "always large", "always small", "its specialist", "always tiny"
RANDOM, ORACLE = "random", "oracle"


@dataclass(frozen=True, slots=True)
class Tally:
    """What a strategy came to; latencies are None where nobody was asked so."""

    accuracy: float
    paid_share: float
    cost_microusd: float  # a question
    whole_ms_p50: float | None
    whole_ms_p99: float | None
    rungs: Mapping[str, float]  # model -> its share of the answers
    tries: float  # models that were asked, for each question
    lost: int

    @classmethod
    def of(cls, told: Sequence[Told]) -> "Tally":
        count = len(told)
        counted = Counter(each.model or "none" for each in told)
        whole_ms = [each.whole_s * 1000 for each in told]
        return cls(
            accuracy=sum(each.right for each in told) / count,
            paid_share=sum(each.paid for each in told) / count,
            cost_microusd=sum(each.cost_microusd for each in told) / count,
            whole_ms_p50=percentile(whole_ms, 50),
            whole_ms_p99=percentile(whole_ms, 99),
            rungs={model: many / count for model, many in counted.most_common()},
            tries=sum(len(each.tried) for each in told) / count,
            lost=sum(bool(each.failure) for each in told),
        )


async def by_name(
    client: MeshClient, rungs: Rungs, questions: Sequence[Question]
) -> dict[str, list[Told]]:
    """Let each model answer that a strategy without a ladder would ask."""
    always = {SMALL: rungs.small.name, LARGE: rungs.paid}
    if rungs.of(TINY) is not None:
        always[TINIEST] = TINY
    told = {}
    for strategy, model in always.items():
        told[strategy] = await ask_all(client, rungs, questions, How(model=model))
        _say(strategy, told[strategy])
    if rungs.specialists:
        found: dict[Question, Told] = {}
        for domain, local in rungs.specialists.items():
            own = of_domain(questions, domain)
            answers = await ask_all(client, rungs, own, How(model=local.name))
            found |= dict(zip(own, answers, strict=True))
        told[SPECIALIST] = [found[each] for each in questions]
        _say(SPECIALIST, told[SPECIALIST])
    return told


async def by_policy(
    client: MeshClient, rungs: Rungs, questions: Sequence[Question], policy: str
) -> list[Told]:
    """Let the ladder choose under a policy."""
    told = await ask_all(client, rungs, questions, How(policy=policy))
    _say(policy, told)
    return told


def at_random(told: Mapping[str, Sequence[Told]], paid_share: float) -> Tally:
    """Return what is to be expected if a share of all questions, any of them, went to the large."""
    small, large = Tally.of(told[SMALL]), Tally.of(told[LARGE])

    def mixed(of_small: float, of_large: float) -> float:
        return (1.0 - paid_share) * of_small + paid_share * of_large

    return Tally(
        accuracy=mixed(small.accuracy, large.accuracy),
        paid_share=paid_share,
        cost_microusd=mixed(small.cost_microusd, large.cost_microusd),
        whole_ms_p50=None,
        whole_ms_p99=None,
        rungs={SMALL: 1.0 - paid_share, LARGE: paid_share},
        tries=1.0,
        lost=0,
    )


def oracle(told: Mapping[str, Sequence[Told]]) -> Tally:
    """Return what the cheapest right answer to each question comes to, and the cheapest of all
    where none is right."""
    best = []
    for answers in zip(*told.values(), strict=True):
        right = [each for each in answers if each.right]
        best.append(min(right or answers, key=lambda each: each.cost_microusd))
    return Tally.of(best)


def table(tallies: Mapping[str, Tally]) -> Iterator[str]:
    """Yield the lines of a table for people."""
    large = tallies[LARGE]
    yield (
        "| strategy | right | of always large | paid calls | cost, micro-USD | of always large "
        "| p50 | p99 | tries | who answered |"
    )
    yield "| --- " * 10 + "|"
    for strategy, each in tallies.items():
        who = ", ".join(
            f"{model.removeprefix('test-')} {share:.0%}" for model, share in each.rungs.items()
        )
        yield (
            f"| {strategy} | {each.accuracy:.1%} | {each.accuracy / large.accuracy:.1%} "
            f"| {each.paid_share:.1%} | {each.cost_microusd:.4f} "
            f"| {each.cost_microusd / large.cost_microusd:.2%} | {_ms(each.whole_ms_p50)} "
            f"| {_ms(each.whole_ms_p99)} | {each.tries:.2f} | {who} |"
        )


def fields(told: Mapping[str, Sequence[Told]]) -> Iterator[str]:
    """Yield the lines of a table of accuracies by field."""
    names = list(told)
    yield "| field | questions | " + " | ".join(names) + " |"
    yield "| --- " * (2 + len(names)) + "|"
    domains = sorted({each.question.domain for each in told[LARGE]})
    for domain in domains:
        of = {n: [each for each in told[n] if each.question.domain == domain] for n in names}
        cells = [f"{sum(each.right for each in of[n]) / len(of[n]):.1%}" for n in names]
        yield f"| {domain} | {len(of[LARGE])} | " + " | ".join(cells) + " |"


def _say(strategy: str, told: Sequence[Told]) -> None:
    tally, lost = Tally.of(told), Counter(each.failure for each in told if each.failure)
    why = ", ".join(f"{many} {code}" for code, many in lost.items()) or "none"
    print(
        f"  {strategy}: {tally.accuracy:.1%} right, {tally.paid_share:.1%} paid, "
        f"{tally.cost_microusd:.4f} micro-USD, p50 {_ms(tally.whole_ms_p50)}, lost: {why}",
        flush=True,
    )


def _ms(value_ms: float | None) -> str:
    return "-" if value_ms is None else f"{value_ms:,.0f} ms"
