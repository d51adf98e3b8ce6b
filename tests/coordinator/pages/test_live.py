"""Whoever looks is sent what changed since, and nobody is waited for."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from coordinator.pages.board import Board, Drawn
from coordinator.pages.live import STREAMS_MAX, Live
from mesh.errors import Overloaded

EVERY_S = 0.01


class Shown:
    """What there is to draw; counts how often it was."""

    def __init__(self) -> None:
        self.views: dict[str, object] = {"a": 1, "b": 1}
        self.drawn = self.rendered = 0
        self.board = Board(self._draw, self._render)

    def _draw(self) -> Drawn:
        self.drawn += 1
        return Drawn(
            {name: ("part", view) for name, view in self.views.items()},
            {"all": tuple(self.views)},
        )

    def _render(self, kind: str, view: object) -> str:
        self.rendered += 1
        return f"<{kind}>{view}</{kind}>"


@asynccontextmanager
async def running(shown: Shown) -> AsyncIterator[Live]:
    live = Live(shown.board, every_s=EVERY_S)
    async with live.running():
        yield live


async def told(stream: AsyncGenerator[bytes, None]) -> tuple[str, Any]:
    """Return the next event's name and data; the first message, which is no event, is skipped."""
    while True:
        lines = dict(
            line.split(": ", 1) for line in (await anext(stream)).decode().splitlines() if line
        )
        if "event" in lines:
            return lines["event"], json.loads(lines["data"])


def test_only_what_differs_is_drawn_again_and_sent() -> None:
    shown = Shown()
    shown.board.refresh()
    assert shown.rendered == 2
    first = shown.board.version
    shown.board.refresh()
    assert (shown.rendered, shown.board.version) == (2, first), "nothing changed"
    shown.views["b"] = 2
    shown.board.refresh()
    assert shown.rendered == 3
    assert json.loads(shown.board.changes(first)) == {
        "parts": {"b": "<part>2</part>"},
        "orders": {},
    }
    assert shown.board.changes(shown.board.version) == ""


def test_one_who_is_far_behind_is_sent_the_newest_of_each_part_and_what_is_left() -> None:
    shown = Shown()
    shown.board.refresh()
    first = shown.board.version
    for round_ in range(50):
        shown.views["a"] = round_
        shown.board.refresh()
    del shown.views["b"]
    shown.views["c"] = 1
    shown.board.refresh()
    assert json.loads(shown.board.changes(first)) == {
        "parts": {"a": "<part>49</part>", "c": "<part>1</part>"},
        "orders": {"all": ["a", "c"]},
    }
    assert shown.board.html("all") == "<part>49</part><part>1</part>"


async def test_a_page_is_told_of_a_change_and_goes_on_where_it_was() -> None:
    shown = Shown()
    shown.board.refresh()
    async with running(shown) as live, aclosing(live.follow(shown.board.tag)) as stream:
        asked = asyncio.ensure_future(told(stream))
        shown.views["a"] = 2
        name, data = await asked
        assert name == "changed"
        assert data["parts"] == {"a": "<part>2</part>"}
        assert live.streams == 1
    assert live.streams == 0


@pytest.mark.parametrize("tag", ["", "0000-1", "x", "-", f"{'9' * 300}"])
async def test_a_page_of_another_process_is_told_to_load_itself_again(tag: str) -> None:
    shown = Shown()
    async with running(shown) as live, aclosing(live.follow(tag)) as stream:
        assert await told(stream) == ("reload", {})
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_nothing_is_drawn_while_nobody_looks() -> None:
    shown = Shown()
    async with running(shown) as live:
        for _ in range(5):
            await asyncio.sleep(EVERY_S)
        assert shown.drawn == 0
        async with aclosing(live.follow(shown.board.tag)) as stream:
            await told(stream)
            assert shown.drawn > 0


async def test_pages_are_bounded_and_a_closed_one_makes_room() -> None:
    shown = Shown()
    async with running(shown) as live:
        streams = [live.follow(shown.board.tag) for _ in range(STREAMS_MAX)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(Overloaded, match=f"{STREAMS_MAX} pages"):
            live.follow(shown.board.tag)
        await streams[0].aclose()
        streams.append(live.follow(shown.board.tag))
        await anext(streams[-1])
        for stream in streams:
            await stream.aclose()
    assert live.streams == 0


async def test_open_pages_end_with_the_coordinator() -> None:
    shown = Shown()
    shown.board.refresh()
    async with running(shown) as live:
        stream = live.follow(shown.board.tag)
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_a_bug_in_drawing_ends_neither_the_page_nor_the_mesh() -> None:
    shown = Shown()
    shown.board.refresh()

    def broken() -> Drawn:
        raise KeyError("no such part")

    whole, shown.board.draw = shown.board.draw, broken
    async with running(shown) as live, aclosing(live.follow(shown.board.tag)) as stream:
        asked = asyncio.ensure_future(told(stream))
        await asyncio.sleep(3 * EVERY_S)
        shown.board.draw, shown.views["a"] = whole, 9
        assert (await asked)[1]["parts"] == {"a": "<part>9</part>"}
