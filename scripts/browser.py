"""Debian's chromium, for pictures and for tests of the page.

``python -m scripts.browser URL PATH`` photographs one page of a mesh.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# No sandbox: in a container, as root, it cannot be had, and the page is our own. The rest keeps the
# browser from talking to anyone but the page.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LIVE_WITHIN_MS = 20_000
LACKING = "there is no chromium here: apt-get install chromium fonts-dejavu-core"


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Run chromium while the context is open.

    Raises:
        FileNotFoundError: this machine has none.
    """
    path = find_chromium()
    if path is None:
        raise FileNotFoundError(LACKING)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield running
        finally:
            running.close()


def photograph(page: Page, address: str, path: Path) -> None:
    """Take a picture of a mesh's page, once it is live."""
    page.goto(address)
    page.wait_for_selector("html.live", timeout=LIVE_WITHIN_MS)
    page.screenshot(path=path)


if __name__ == "__main__":
    with browser() as running:
        photograph(
            running.new_page(viewport={"width": 1280, "height": 900}),
            address=sys.argv[1],
            path=Path(sys.argv[2]),
        )
