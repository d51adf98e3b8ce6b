"""All addresses of the page, answered alike for this machine's browsers and for carried ones."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from coordinator.loop import FleetLoop
from coordinator.pages.account import Account
from coordinator.pages.board import Board, Drawn
from coordinator.pages.flow import Flow
from coordinator.pages.live import Live
from coordinator.pages.metrics import CONTENT_TYPE, Metrics
from coordinator.pages.one_node import find_node, view_details
from coordinator.pages.rendering import ASSETS, asset, render, render_page
from coordinator.pages.views import view_cell, view_mesh, view_passing

PATH_CHARACTERS_MAX = 256
REQUESTS_SHOWN_MAX = 24  # as many as a person can follow
FRESH_S = 0.5  # a page that is asked for this soon after another shows the same
CELLS_FROM = 8  # nodes; fewer are at a glance in their table

_NODE = re.compile(r"/nodes/([0-9a-z]{16})")  # of a fingerprint, which is base32
_STRICT = {
    # Nothing but our own files runs or is shown, whatever a name may have got past the escaping.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_FOR_GOOD = {"cache-control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True)
class Who:
    """What the page says of its coordinator."""

    name: str
    mesh_id: str
    version: str


class Pages:
    """What browsers see of one coordinator."""

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        loop: FleetLoop,
        *,
        who: Who,
        flow: Flow,
        metrics: Callable[[Live], Metrics],
        account: Callable[[], Account],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._loop = loop
        self._who = who
        self._flow = flow
        self._account = account
        self._clock = clock
        self.board = Board(self._draw, render)
        self.live = Live(self.board)
        self.metrics = metrics(self.live)
        self._refreshed_s = float("-inf")

    def routes(self) -> list[BaseRoute]:
        """Return the routes for ``mesh.door``."""
        paths = ("/", "/events", "/metrics", "/nodes/{key}", *(f"/{name}" for name in ASSETS))
        return [Route(path, self._answer_request, methods=["GET"]) for path in paths]

    def answer(self, target: str, headers: Mapping[str, str]) -> Response:
        """Answer a GET of ``target``, a path with its query. A body that streams is iterated.

        Raises:
            MeshError: too many look already.
        """
        path = urlsplit(target[:PATH_CHARACTERS_MAX]).path if target.startswith("/") else ""
        if path == "/":
            return self._page()
        if path == "/events":
            return self._events(target, headers)
        if path == "/metrics":
            return Response(self.metrics.text(), headers=_STRICT | {"content-type": CONTENT_TYPE})
        if path[1:] in ASSETS:
            return _file(path[1:])
        if (named := _NODE.fullmatch(path)) is not None:
            return self._node_page(named[1])
        return PlainTextResponse("no such page; the mesh is at /\n", 404, headers=_STRICT)

    async def _answer_request(self, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return self.answer(request.url.path + query, request.headers)

    def _page(self) -> Response:
        self._refresh()
        html = render_page(
            "page",
            who=self._who,
            tag=self.board.tag,
            now_s=self._clock(),
            html=lambda name: Markup(self.board.html(name)),  # noqa: S704 - parts are escaped
        )
        return _html(html)

    def _node_page(self, key: str) -> Response:
        node = find_node(self._loop.fleet, key)
        details = view_details(node, self._loop.now_s) if node is not None else None
        html = render_page("node_page", who=self._who, node=details, now_s=self._clock())
        return _html(html, 200 if node is not None else 404)

    def _events(self, target: str, headers: Mapping[str, str]) -> Response:
        """Go on after the state that the browser has: from its last event, else from its page."""
        tag = headers.get("last-event-id") or urlsplit(target).query
        headers_sent = _STRICT | {"content-type": "text/event-stream"}
        return StreamingResponse(self.live.follow(tag), headers=headers_sent)

    def _refresh(self) -> None:
        now_s = self._loop.now_s
        if now_s - self._refreshed_s >= FRESH_S:
            self._refreshed_s = now_s
            self.board.refresh()

    def _draw(self) -> Drawn:
        mesh = view_mesh(self._loop.fleet, self._flow, self._loop.now_s)
        requests = [view_passing(each) for each in self._flow.newest(REQUESTS_SHOWN_MAX)]
        cells = mesh.nodes if len(mesh.nodes) >= CELLS_FROM else ()
        parts: dict[str, tuple[str, object]] = {
            "welcome": ("welcome", not mesh.figures.nodes),
            "figures": ("figures", mesh.figures),
            "account": ("account", self._account()),
            "quiet": ("quiet", not requests),
            "statuses": ("statuses", mesh.statuses),
            "more": ("more", mesh.nodes_more),
        }
        parts |= {f"r{each.number}": ("request", each) for each in requests}
        parts |= {f"c{each.key}": ("cell", view_cell(each)) for each in cells}
        parts |= {f"n{each.key}": ("node", each) for each in mesh.nodes}
        return Drawn(
            parts,
            {
                "requests": tuple(f"r{each.number}" for each in requests),
                "cells": tuple(f"c{each.key}" for each in cells),
                "nodes": tuple(f"n{each.key}" for each in mesh.nodes),
            },
        )


def _html(html: str, status: int = 200) -> Response:
    return Response(html, status, _STRICT | {"content-type": "text/html; charset=utf-8"})


def _file(name: str) -> Response:
    found = asset(name)
    headers = _STRICT | _FOR_GOOD | {"content-type": found.media_type}
    return Response(found.content, headers=headers)
