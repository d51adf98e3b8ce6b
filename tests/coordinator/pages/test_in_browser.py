"""The page in a real browser: Debian's chromium, through Playwright."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from mesh.core import events
from mesh.sim.world import Traffic
from scripts.browser import ARGUMENTS, LACKING, find_chromium
from tests.coordinator.pages.played import attach, played_mesh, served

pytestmark = pytest.mark.skipif(find_chromium() is None, reason=LACKING)

WITHIN_MS = 15_000
expect.set_options(timeout=WITHIN_MS)
PHONE_WIDTH, DESKTOP_WIDTH = 390, 1280
# What a name may do to a page that trusts it.
FORGED = "</td><script>document.title='forged'</script><img src=x onerror=document.title='forged'>"


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=find_chromium(), args=list(ARGUMENTS)
        )
        yield running
        await running.close()


@pytest.fixture
async def page(chromium: Browser) -> AsyncIterator[Page]:
    opened = await chromium.new_page(viewport={"width": DESKTOP_WIDTH, "height": 900})
    opened.set_default_timeout(WITHIN_MS)
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        lambda told: complaints.append(told.text) if "Content Security" in told.text else None,
    )
    yield opened
    await opened.close()
    assert complaints == []


async def live(page: Page, address: str) -> None:
    await page.goto(address)
    await page.wait_for_selector("html.live", state="attached")


async def test_a_node_that_joins_appears_and_one_that_is_lost_says_why(page: Page) -> None:
    mesh = played_mesh(0)
    async with served(mesh) as address:
        await live(page, address)
        await expect(page.get_by_role("heading", name="No machine has joined yet")).to_be_visible()
        node_id = attach(mesh, "desk-1", "qwen")
        row = page.get_by_role("row", name="desk-1")
        await expect(row).to_contain_text("qwen warm")
        await expect(page.locator("#welcome")).to_be_hidden()
        mesh.loop.post(events.ConnectionLost(1, node_id, "pulled the plug"))
        await expect(row).to_contain_text("lost")
        await expect(row).to_contain_text("pulled the plug")


async def test_requests_flow_by_and_hold_nothing_that_was_asked(page: Page) -> None:
    mesh = played_mesh(3, Traffic(requests_per_s=1.0), past_s=60.0)
    async with served(mesh) as address:
        await live(page, address)
        newest = await page.locator("#requests li").first.get_attribute("id")
        await expect(page.locator("#requests li").first).not_to_have_id(newest or "")
        await expect(page.locator("#requests .answered").first).to_contain_text("tokens")
        await expect(page.locator("#account")).to_contain_text("Today")
        assert await page.locator("#requests li").count() <= 24
        shown = await page.locator("body").inner_text()
        assert "client:" not in shown, "nor who asked"


async def test_a_forged_name_is_shown_as_it_is_and_does_nothing(page: Page) -> None:
    mesh = played_mesh(0)
    attach(mesh, FORGED[:64], FORGED[:64])
    async with served(mesh) as address:
        await live(page, address)
        attach(mesh, f"{FORGED[:60]} b", FORGED[:64], connection_id=2)  # this one by the stream
        await expect(page.locator("#nodes tr")).to_have_count(2)
        await expect(page.locator("#nodes a").first).to_have_text(FORGED[:64])
        assert await page.title() == "deskmesh · mac-mini-01"
        assert await page.locator("#nodes img, #nodes script").count() == 0


async def test_the_page_is_whole_without_javascript(chromium: Browser) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    async with served(played_mesh(3)) as address:
        await page.goto(address)
        await expect(page.get_by_role("row", name="mac-mini-01")).to_be_visible()
        await expect(page.get_by_role("link", name="reload")).to_be_visible()
        await page.get_by_role("link", name="mac-mini-01").click()
        await expect(page.get_by_role("heading", name="mac-mini-01")).to_be_visible()
    await context.close()


async def test_focus_and_a_search_stay_while_the_mesh_changes(page: Page) -> None:
    mesh = played_mesh(20, Traffic(requests_per_s=10.0))
    async with served(mesh) as address:
        await live(page, address)
        await page.keyboard.press("/")
        await page.keyboard.type("macbook")
        rows = page.locator("#nodes tr:visible")
        shown = await rows.count()
        assert 0 < shown < 20
        await expect(page.locator("#found")).to_have_text(f"{shown} of 20")
        await page.keyboard.press("Tab")
        focused = await page.evaluate("document.activeElement.textContent")
        assert focused.startswith("macbook")
        before = await page.locator("#figures").inner_text()
        await expect(page.locator("#figures")).not_to_have_text(before)
        assert await page.evaluate("document.activeElement.textContent") == focused
        assert await rows.count() == shown


async def test_it_says_when_the_coordinator_is_gone_and_comes_back_by_itself(page: Page) -> None:
    async with served(played_mesh(1)) as address:
        await live(page, address)
    port = int(address.rpartition(":")[2])
    await page.wait_for_selector("html.cut", state="attached")
    await expect(page.get_by_role("status").first).to_contain_text("not connected")
    async with served(played_mesh(3), port=port):  # another process, for all that it can tell
        await expect(page.locator("#nodes tr")).to_have_count(3)
        await page.wait_for_selector("html.live", state="attached")


@pytest.mark.parametrize("nodes", [0, 1, 100])
@pytest.mark.parametrize("width", [PHONE_WIDTH, DESKTOP_WIDTH])
async def test_nothing_is_wider_than_the_screen(page: Page, nodes: int, width: int) -> None:
    mesh = played_mesh(nodes)
    attach(mesh, "w" * 64, "w" * 200)
    await page.set_viewport_size({"width": width, "height": 900})
    async with served(mesh) as address:
        await live(page, address)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        box = await page.locator("#nodes tr").last.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read_in_light_and_dark(page: Page, scheme: str) -> None:
    mesh = played_mesh(60, Traffic(requests_per_s=6.0), past_s=60.0)  # some of it in trouble
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    async with served(mesh) as address:
        await live(page, address)
        faint = await page.evaluate(FAINT_TEXTS)
    assert faint == []


# WCAG 2.2, 1.4.3: 4.5 to 1 for text, by the relative luminance of colour and ground.
FAINT_TEXTS = """() => {
  const numbers = (c) => c.match(/[0-9.]+/g).map(Number);
  const light = (c) => numbers(c).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (c.startsWith("rgb(")) return c;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = new Set();
  for (const e of document.querySelectorAll("body *")) {
    const speaks = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!speaks || !e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(style.color), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) >= 4.5) continue;
    faint.add(`${e.tagName} ${e.className} ${style.color} on ${ground(e)}`);
  }
  return [...faint];
}"""
