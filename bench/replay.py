"""``python -m bench.replay --seed N``: play one seed of the simulated mesh again, and tell its end.

What ``tests/mesh/sim/test_chaos.py`` prints of a seed that failed can be seen here, event by event.
"""

import argparse
import sys

from mesh.sim.chaos.trial import Broken, Setting, Trial


def main() -> int:
    """Return 1 if a promise broke."""
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--until", type=float, help="stop at this virtual second")
    given = parser.parse_args()
    trial = Trial(given.seed, Setting())
    try:
        trial.play(given.until)
    except Broken as broken:
        print(broken)
        return 1
    print("\n".join(trial.story.tail()))
    promises = trial.promises
    print(
        f"seed {given.seed} kept every promise: {trial.coordinator.handled} events, "
        f"{promises.arrived} requests, {promises.attempts} attempts, "
        f"{promises.handovers} handovers, {promises.finished} answered, "
        f"{promises.failed.total()} failed; history {trial.story.digest}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
