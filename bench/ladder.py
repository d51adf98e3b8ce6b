"""The ladder in a real mesh: how right, how dear and how quick, against every simpler way.

A node with the test family's small models, and the large one behind llama.cpp's own server as the
upstream that is paid for. The ladder learns from each model's answers to some prompts; then others
are asked, over gRPC, a few at a time: each model by its name, and ``auto`` under three policies.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory

from bench import ladder_learning as learning
from bench import ladder_risk as risk
from bench.ladder_answers import How, Told, ask_all, warm_up
from bench.ladder_mesh import BOTH, CASCADE, SCORER, ladder_mesh, upstream
from bench.ladder_public import public_tables
from bench.ladder_questions import Question, drawn, of_domain
from bench.ladder_rungs import Rungs, repository_family
from bench.ladder_strategies import (
    LARGE,
    ORACLE,
    RANDOM,
    SMALL,
    SPECIALIST,
    Tally,
    at_random,
    by_name,
    by_policy,
    fields,
    oracle,
    table,
)
from bench.ladder_trace import play, steps_of
from bench.progress import Progress
from bench.result import Figures
from mesh.core.domains import recognised
from mesh.core.features import domain_buckets, prompt_features
from mesh.core.scorer import Scorer
from mesh.errors import ServiceError
from mesh.scorer_file import read_scorer

LIMIT_S = 870.0
LEARNED_EACH, LEARNED_EACH_SHORT = 160, 24  # prompts of every task
ASKED_EACH, ASKED_EACH_SHORT = 12, 1
FOREIGN = "security"  # the field of which one scorer has learned nothing
TIMED_ROUNDS = 3
# The most that each of the last parts takes on a busy machine.
_TRACE_S, _FOREIGN_S, _RISK_S = 90.0, 90.0, 60.0


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says."""

    rungs: Rungs
    data: Path | None = None  # a folder of public outcomes
    outcomes: Path | None = None  # what to learn from; written if it is not there


async def measure(short: bool, given: Given | None = None) -> Figures:
    """Learn, ask, and compare."""
    given = given or Given(repository_family())
    progress = Progress(LIMIT_S)
    figures: dict[str, float | int | None] = {}
    if given.data is None:
        progress.say("no --data FOLDER with public outcomes: their tables are left out")
    else:
        figures |= await public_tables(given.data, progress)
    asked = drawn(ASKED_EACH_SHORT if short else ASKED_EACH, seed="ladder, asked")
    seen = {each.prompt for each in asked}
    each = LEARNED_EACH_SHORT if short else LEARNED_EACH
    learned = drawn(each, seed="ladder, learned", without=seen)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="deskmesh-ladder-")))
        address = await stack.enter_async_context(upstream(given.rungs))
        run = _Run(given, address, folder, asked, learned, progress)
        told = await run.learn_and_ask_by_name()
        told |= await run.ask_by_policy(figures)
        figures |= _compared(told, given.rungs)
        if given.rungs.specialists:
            figures |= await run.ask_foreign()
            figures |= run.risk(20 if short else risk.CALIBRATIONS)
    figures["took_s"] = progress.taken_s
    return figures


@dataclass(frozen=True, slots=True)
class _Run:
    """What all parts of one run have in common."""

    given: Given
    address: str
    folder: Path
    asked: Sequence[Question]
    learned: Sequence[Question]
    progress: Progress

    @property
    def outcomes(self) -> Path:
        return self.given.outcomes or self.folder / "outcomes.jsonl"

    async def learn_and_ask_by_name(self) -> dict[str, list[Told]]:
        """Without a scorer: what each model makes of everything."""
        rungs, plan = self.given.rungs, learning.plan(self.given.rungs, self.learned)
        if not self.outcomes.exists() and rungs.paid_file is not None:
            self._say_plan(plan)
            labels = await learning.labels_by_llama_cpp(rungs, plan)
            learning.write_outcomes(self.outcomes, self.learned, labels)
        async with ladder_mesh(rungs, self.address) as client:
            if not self.outcomes.exists():
                self._say_plan(plan)
                labels = await learning.labels_by_mesh(client, rungs, plan)
                learning.write_outcomes(self.outcomes, self.learned, labels)
            await warm_up(client, rungs, self.learned[0])
            self.progress.say(f"asking {len(self.asked)} questions of each model by its name")
            told = await by_name(client, rungs, self.asked)
            refuse_useless(told[LARGE])
            return told

    async def ask_by_policy(self, figures: dict[str, float | int | None]) -> dict[str, list[Told]]:
        """With a scorer: the ladder under each policy, and an agent's task."""
        scorer = await self._scorer("")
        rungs = self.given.rungs
        figures |= _timed(scorer, self.asked, rungs)
        async with ladder_mesh(rungs, self.address, scorer) as client:
            await warm_up(client, rungs, self.learned[0])
            self.progress.say("asking the ladder, under each policy")
            told = {
                policy: await by_policy(client, rungs, self.asked, policy)
                for policy in (SCORER, CASCADE, BOTH)
            }
            steps = steps_of(self.learned)
            if not self.progress.allows("an agent's task", _TRACE_S):
                return told
            self.progress.say(f"an agent's task of {len(steps)} steps")
            for sticky, name in ((True, "session"), (False, "no_session")):
                trace = await play(client, rungs, steps, How(policy=BOTH), sticky=sticky)
                print(f"  {name}: {trace}", flush=True)
                figures[f"trace_{name}_microusd"] = trace.cost_microusd
                figures[f"trace_{name}_read_tokens"] = trace.read_tokens
                figures[f"trace_{name}_changes"] = trace.changes
                figures[f"trace_{name}_paid_share"] = trace.paid_share
        return told

    async def ask_foreign(self) -> Figures:
        """Ask a field that was not learned of: who answers?"""
        if not self.progress.allows("a foreign field", _FOREIGN_S):
            return {}
        shares = risk.foreign_share(self.learned, self.asked)
        own = risk.own_share(self.learned, self.asked)
        self.progress.say(
            f"{own:.1%} of questions are recognised; as foreign, of a field not learned of: "
            + ", ".join(f"{domain} {share:.0%}" for domain, share in shares.items())
        )
        scorer, rungs = await self._scorer(FOREIGN), self.given.rungs
        async with ladder_mesh(rungs, self.address, scorer) as client:
            await warm_up(client, rungs, self.learned[0])
            questions = of_domain(self.asked, FOREIGN)
            told = await ask_all(client, rungs, questions, How(policy=BOTH))
        print(f"  {FOREIGN}, not learned of: {Tally.of(told)}", flush=True)
        return {
            "recognised_share": own,
            "foreign_noticed_share": sum(shares.values()) / len(shares),
            "foreign_escalated_share": Tally.of(told).paid_share,
            "foreign_accuracy": Tally.of(told).accuracy,
        }

    def risk(self, count: int) -> Figures:
        """Calibrate many times."""
        if not self.progress.allows("calibrations", _RISK_S):
            return {}
        rungs = self.given.rungs
        models = [local.name for local in (*rungs.specialists.values(), rungs.small)]
        found = risk.calibrations(self.outcomes, models, count=count)
        if not found:
            self.progress.say("too few labels for calibrations to be tried")
            return {"risk_exceeded_share": None}
        print("\n".join(risk.lines(found)), flush=True)
        return risk.figures(found)

    async def _scorer(self, without: str) -> Path:
        """Learn from the outcomes, but for those of one domain."""
        outcomes, scorer = self.outcomes, self.folder / f"scorer{without and f'-{without}'}.json.gz"
        if without:
            outcomes = learning.without_domain(self.outcomes, without, self.folder)
        self.progress.say(f"learning{f' without {without}' if without else ''}")
        await learning.train(outcomes, scorer)
        return scorer

    def _say_plan(self, plan: Mapping[str, Sequence[Question]]) -> None:
        counts = ", ".join(f"{name} {len(some)}" for name, some in plan.items())
        self.progress.say(f"asking what there is to learn from: {counts}")


def refuse_useless(told: Sequence[Told]) -> None:
    """Raises ServiceError: the paid model got nothing right: nothing to compare with."""
    if any(each.right for each in told):
        return
    failures = Counter(each.failure for each in told if each.failure)
    lost = ", ".join(f"{many} {failure}" for failure, many in failures.most_common(3))
    raise ServiceError(
        f"the upstream answered none of {len(told)} questions right ({lost or 'none was lost'})",
        hint="ask it by hand; a server that breaks an answer off for the next request needs telling"
        " (llama-cpp-python's: --interrupt_requests false)",
    )


def _compared(told: Mapping[str, Sequence[Told]], rungs: Rungs) -> Figures:
    tallies = {name: Tally.of(some) for name, some in told.items()}
    named = {name: some for name, some in told.items() if name not in (SCORER, CASCADE, BOTH)}
    tallies[RANDOM] = at_random(told, tallies[BOTH].paid_share)
    tallies[ORACLE] = oracle(named)
    print("\n".join(table(tallies)), flush=True)
    print("\n".join(fields(told)), flush=True)
    large, ours = tallies[LARGE], tallies[BOTH]
    figures: dict[str, float | int | None] = {
        "accuracy_ratio": ours.accuracy / large.accuracy,
        "paid_share": ours.paid_share,
        "cost_ratio": ours.cost_microusd / large.cost_microusd,
        "whole_ms_p50": ours.whole_ms_p50,
        "whole_ms_p99": ours.whole_ms_p99,
        "accuracy_always_large": large.accuracy,
        "questions": len(told[LARGE]),
        "answers_lost": sum(each.lost for each in tallies.values()),
    }
    for name in (SMALL, SCORER, CASCADE, RANDOM, ORACLE):
        key = name.replace(" ", "_").replace("-", "_")
        figures[f"accuracy_ratio_{key}"] = tallies[name].accuracy / large.accuracy
        figures[f"paid_share_{key}"] = tallies[name].paid_share
    if rungs.specialists:
        specialist = tallies[SPECIALIST]
        figures["specialist_accuracy_ratio"] = specialist.accuracy / large.accuracy
        figures["specialist_cost_ratio"] = specialist.cost_microusd / large.cost_microusd
    return figures


def _timed(file: Path, asked: Sequence[Question], rungs: Rungs) -> Figures:
    """Time what the coordinator does with a prompt: read it, recognise it, and score it, for a pair
    of models as ``route eval`` does, and for the whole ladder."""
    scorer = read_scorer(file)
    pair = (rungs.small.name, rungs.paid)
    ladder = (*(each.name for each in rungs.models), rungs.paid)
    took_us = {
        heads: [_scoring_us(scorer, each.prompt, heads) for each in list(asked) * TIMED_ROUNDS]
        for heads in (pair, ladder)
    }
    return {
        "score_us_p50": median(took_us[pair]),
        "scores_per_s": 1e6 / fmean(took_us[pair]),
        "score_ladder_us_p50": median(took_us[ladder]),
        "scores_ladder_per_s": 1e6 / fmean(took_us[ladder]),
    }


def _scoring_us(scorer: Scorer, prompt: str, heads: Sequence[str]) -> float:
    began_s = time.perf_counter()
    features = prompt_features(prompt)
    found = recognised(features, scorer.domains)
    chances = scorer.p_ok(replace(features, domain=domain_buckets(found.domain)))
    for head in heads:
        chances[head]
    return (time.perf_counter() - began_s) * 1e6
