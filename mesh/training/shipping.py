"""Makes the scorer that deskmesh ships: generic heads, and those of the test models.

``python -m mesh.training.shipping FOLDER OUTCOMES`` reads the public files named below from FOLDER
and what ``python -m models.outcomes`` wrote, and writes ``mesh/data/scorer.json.gz``. Heads of
single public models are left out: each was measured on one set alone, and a user's model of that
name may be another quantisation. The test models are files that come with the source: theirs stay.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from mesh.core.asked import BIG, SMALL
from mesh.core.scorer import Scorer, Source
from mesh.scorer_file import SHIPPED, write_scorer
from mesh.training.design import Design
from mesh.training.fitting import Fitter
from mesh.training.learning import SEEN_MAX, Ground, learn
from mesh.training.outcomes import prompt_hash, read_outcomes

# file, what it is, its licence
PUBLIC = (
    ("ulab_train.jsonl.gz", "ulab-uiuc/LLMRouter 4e7a7969, training rows", "MIT"),
    ("mmlu_pro_new.jsonl.gz", "TIGER-AI-Lab/MMLU-Pro f418b116, prompts not in MMLU", "Apache-2.0"),
)


def shipped_from(folder: Path) -> Scorer:
    """Learn the generic heads from all public sets together."""
    grounds = [Ground.of(read_outcomes([folder / name])) for name, _, _ in PUBLIC]
    features = [each for ground in grounds for each in ground.design.features]
    sources = [
        Source(name, licence, len(ground.rows))
        for (_, name, licence), ground in zip(PUBLIC, grounds, strict=True)
    ]
    seen = sorted({prompt_hash(row.prompt) for ground in grounds for row in ground.rows})
    design = Design(features)
    fitter = Fitter(design, np.arange(len(features)), np.random.default_rng(0))
    heads = fitter.generic_heads([ground.scores for ground in grounds], None)
    return Scorer(heads=heads, sources=tuple(sources), seen=tuple(seen[:SEEN_MAX]))


def with_test_models(public: Scorer, outcomes: Path) -> Scorer:
    """Add what the test models' own outcomes teach: their heads, their judges, their domains."""
    ground = Ground.of(read_outcomes([outcomes], with_signs=True))
    own = learn(ground, prior=None)
    heads = {name: head for name, head in own.heads.items() if name not in public.heads}
    source = Source("the test models' own answers", "Apache-2.0", len(ground.rows))
    return replace(
        public,
        heads={**public.heads, **heads},
        confidence=own.confidence,
        domains=own.domains,
        sources=(*public.sources, source),
    )


if __name__ == "__main__":
    scorer = with_test_models(shipped_from(Path(sys.argv[1])), Path(sys.argv[2]))
    target = Path(__file__).parent.parent / "data" / SHIPPED
    target.parent.mkdir(exist_ok=True)
    sys.stdout.write(f"{write_scorer(scorer, target)} bytes, {dict(scorer.labels)}\n")
    assert {SMALL, BIG} <= set(scorer.heads)
