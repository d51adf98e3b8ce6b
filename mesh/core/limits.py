"""How patient a fleet is, and how much it holds."""

from dataclasses import dataclass

# Of the requests on its ground: what a service risks of its traffic on a canary.
CANARY_SHARE = 0.05
# Of the answer to a request with tools, which may be a call to the end: a call has some 50.
HELD_TOKENS_MAX = 4096


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """Durations in seconds."""

    suspect_after_s: float = 3.0  # three beats of 1 s
    lost_after_s: float = 10.0
    forget_after_s: float = 3600.0  # a lost node stays visible to operators for so long
    forget_asleep_after_s: float = 259_200.0  # one that sleeps is expected back: a long weekend
    # A told node that has not opened its answer stream is wedged. A burst of 200 on two busy cores
    # took 5 s to open; a node that is gone is noticed sooner by its connection or its silence.
    delivery_within_s: float = 15.0
    # A cut answer waits for a machine that can go on with it. An agent that died is back within 2
    # to 5 s where something starts it again; longer, and whoever reads thinks that we hang.
    goes_on_within_s: float = 10.0
    line_checked_every_s: float = 3.0  # who waits for machines that are gone is told within this
    nodes_max: int = 4096
    waiting_max: int = 1000
    # Of one request that gave no token, refusals included: bounds the work of one caller. What gave
    # some was no wasted work, and an answer has only so many.
    attempts_max: int = 8
