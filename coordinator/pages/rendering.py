"""Views to HTML. Everything in a view is escaped: names are whatever a machine calls itself."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import jinja2

from coordinator.pages import shown

FOLDER = Path(__file__).parent
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
ASSETS = ("page.css", "page.js", "icon.svg")
DIGEST_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the page asks for."""

    content: bytes
    media_type: str
    digest: str  # in the query of its address, so that a browser may keep it for good


@cache
def asset(name: str) -> Asset:
    content = (FOLDER / "assets" / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:DIGEST_DIGITS]
    return Asset(content, f"{_TYPES[Path(name).suffix]}; charset=utf-8", digest)


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for each in (shown.count, shown.duration, shown.parameters, shown.size, shown.usd, shown.rtt):
        made.filters[each.__name__] = each
    made.filters["clock"] = clock
    made.globals["asset"] = lambda name: f"/{name}?{asset(name).digest}"
    return made


def render(kind: str, view: object) -> str:
    """Return one part of the page: the template ``kind`` with ``view`` in it."""
    html = _templates().get_template(f"{kind}.html").render(view=view).strip()
    return re.sub(r"\n\s*", " ", re.sub(r">\n\s*<", "><", html))


def render_page(name: str, **given: object) -> str:
    """Return a whole page."""
    return _templates().get_template(f"{name}.html").render(**given)


def clock(at_s: float) -> str:
    """The time of day, on the coordinator's clock and in its zone."""
    return datetime.fromtimestamp(at_s, UTC).astimezone().strftime("%H:%M:%S")
