"""Makes the scorer that deskmesh ships: generic heads alone, from public outcomes.

``python -m mesh.training.shipping FOLDER`` reads the files named below from FOLDER and writes
``mesh/data/scorer.json.gz``. Heads of single models are left out: each was measured on one set
alone, and a user's model of that name may be another quantisation.
"""

import sys
from pathlib import Path

import numpy as np

from mesh.core.asked import BIG, SMALL
from mesh.core.scorer import Scorer, Source
from mesh.scorer_file import SHIPPED, write_scorer
from mesh.training.design import Design
from mesh.training.fitting import Fitter
from mesh.training.learning import SEEN_MAX, Ground
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


if __name__ == "__main__":
    scorer = shipped_from(Path(sys.argv[1]))
    target = Path(__file__).parent.parent / "data" / SHIPPED
    target.parent.mkdir(exist_ok=True)
    sys.stdout.write(f"{write_scorer(scorer, target)} bytes, {dict(scorer.labels)}\n")
    assert set(scorer.heads) == {SMALL, BIG}
