"""Puts the page of one coordinator together."""

import time
from collections.abc import Callable

from coordinator.loop import FleetLoop
from coordinator.pages.account import Account, Baseline
from coordinator.pages.flow import Flow
from coordinator.pages.metrics import Metrics
from coordinator.pages.pages import Pages, Who
from coordinator.watching import Watcher
from mesh.settings import CloudSettings


def open_pages(  # noqa: PLR0913 - what they are made of
    loop: FleetLoop,
    watchers: list[Watcher],
    who: Who,
    *,
    lag_s: Callable[[], float],
    account: Callable[[], Account],
    clock: Callable[[], float] = time.time,
) -> Pages:
    """Return pages that follow what ``watchers`` are told from now on.

    Args:
        lag_s: how late the event loop is.
        account: today's, of whoever remembers it.
        clock: tells Unix seconds.
    """
    flow = Flow(clock)
    pages = Pages(
        loop,
        who=who,
        flow=flow,
        metrics=lambda live: Metrics(
            loop.fleet, who.version, lag_s=lag_s, pages=lambda: live.streams
        ),
        account=account,
        clock=clock,
    )
    watchers += [flow, pages.metrics]
    return pages


def baseline_of(settings: CloudSettings) -> Baseline | None:
    """Return the cloud model that answers are compared with: the first that has a price."""
    if not settings.on:
        return None
    from coordinator.cloud.prices import find_price  # late: a mesh without one is most

    for upstream in filter(None, (settings.single(), *settings.upstreams.values())):
        for model in upstream.served():
            price = find_price(model, model=model.name, base_url=upstream.base_url)
            if price is not None:
                return Baseline(model.called, price.cost_microusd)
    return None
