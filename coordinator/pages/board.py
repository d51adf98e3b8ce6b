"""The page's parts as HTML, each with the version at which it last changed.

Whoever looks names the version that he has, and is sent every part that is newer. So nothing is
queued for anyone: one who reads slowly skips what was replaced meanwhile, and two who are equally
far on are sent the same bytes. Parts are drawn again only where their view differs, at most once a
second however many look.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Drawing = Mapping[str, tuple[str, object]]  # part -> the kind of its template, and its view
Orders = Mapping[str, tuple[str, ...]]  # container -> its parts, in order


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the page should show now."""

    parts: Drawing
    orders: Orders


@dataclass(slots=True)
class Part:
    """One element of the page."""

    view: object
    html: str
    version: int


@dataclass(slots=True)
class Board:
    """Belongs to the event loop, like whoever reads it."""

    draw: Callable[[], Drawn]
    render: Callable[[str, object], str]
    boot: str = field(default_factory=lambda: secrets.token_hex(4))  # versions are this process's
    version: int = 0
    parts: dict[str, Part] = field(default_factory=dict)  # bounded by what ``draw`` returns
    _orders: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    _last: tuple[int, int, str] = (-1, -1, "")  # from, to, and the message between them

    def refresh(self) -> None:
        """Take over what is to be shown now."""
        drawn, version, changed = self.draw(), self.version + 1, False
        for name in self.parts.keys() - drawn.parts.keys():
            del self.parts[name]  # the order of its container tells of it
        for name, (kind, view) in drawn.parts.items():
            part = self.parts.get(name)
            if part is not None and part.view == view:
                continue
            html = self.render(kind, view)
            if part is None or part.html != html:
                self.parts[name] = Part(view, html, version)
                changed = True
            else:
                part.view = view
        for name, order in drawn.orders.items():
            if name not in self._orders or self._orders[name][0] != order:
                self._orders[name] = (order, version)
                changed = True
        if changed:
            self.version = version

    def html(self, name: str) -> str:
        """Return a part, or all parts of a container."""
        if name in self._orders:
            return "".join(self.parts[each].html for each in self._orders[name][0])
        return self.parts[name].html

    @property
    def tag(self) -> str:
        """Which state of the board this is; a page and an event stream carry it."""
        return f"{self.boot}-{self.version}"

    def version_of(self, tag: str) -> int | None:
        """Return the version that ``tag`` names, or None if it is none of this board's."""
        boot, _, version = tag[:40].partition("-")
        if boot != self.boot or not version.isdecimal() or int(version) > self.version:
            return None
        return int(version)

    def changes(self, since: int) -> str:
        """Return what changed after version ``since``, as JSON; "" if nothing did."""
        if since >= self.version:
            return ""
        if self._last[:2] != (since, self.version):
            parts = {name: part.html for name, part in self.parts.items() if part.version > since}
            orders = {name: order for name, (order, at) in self._orders.items() if at > since}
            told = json.dumps({"parts": parts, "orders": orders}, separators=(",", ":"))
            self._last = (since, self.version, told)
        return self._last[2]
