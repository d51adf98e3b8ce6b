"""Takes the pictures in docs/: ``python -m scripts.pictures [NAME ...]``.

Each is a mesh of the simulator's machines behind the page that ships, photographed in chromium.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser

from scripts.browser import browser, photograph

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "pictures"


@dataclass(frozen=True, slots=True)
class Picture:
    """What is photographed, and how."""

    name: str
    nodes: int
    width: int = 1280
    height: int = 900
    scheme: Literal["light", "dark"] = "light"
    past_s: int = 1800
    scale: float = 1.0
    seed: int = 11


PICTURES = (
    Picture("mesh-0", 0, height=620),
    Picture("mesh-1", 1),
    Picture("mesh-3", 3),
    Picture("mesh-100", 100, height=1100),
    Picture("mesh-100-dark", 100, height=1100, scheme="dark"),
    Picture("mesh-3-phone", 3, width=390, height=1500),
    Picture("mesh-100-phone-dark", 100, width=390, height=1500, scheme="dark"),
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.pictures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; none: all")
    names = parser.parse_args(arguments).names
    if unknown := set(names) - {picture.name for picture in PICTURES}:
        parser.error(f"there is no picture {', '.join(sorted(unknown))}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with browser() as running:
        for picture in PICTURES:
            if not names or picture.name in names:
                taken = take(running, picture)
                print(f"{taken.relative_to(ROOT)}  {taken.stat().st_size / 1000:.0f} KB")
    return 0


def take(running: Browser, picture: Picture) -> Path:
    """Photograph one mesh, once its page is live."""
    path = FOLDER / f"{picture.name}.png"
    with played_page(picture) as address:
        page = running.new_page(
            viewport={"width": picture.width, "height": picture.height},
            color_scheme=picture.scheme,
            device_scale_factor=picture.scale,
        )
        photograph(page, address, path)
        page.close()
    return path


@contextmanager
def played_page(picture: Picture) -> Iterator[str]:
    """Run the page of a played mesh while the context is open; give its address."""
    given = ["--nodes", picture.nodes, "--past-s", picture.past_s, "--seed", picture.seed]
    command = [sys.executable, "-m", "bench.played_page", *map(str, given)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as played:
        try:
            assert played.stdout is not None
            yield played.stdout.readline().strip()
        finally:
            played.terminate()


if __name__ == "__main__":
    sys.exit(main())
