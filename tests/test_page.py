"""The page in a real browser: Debian's Chromium, driven by Playwright, against a server on loopback."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving_client import QUESTION, make_library, serving

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
KEY = "a-key-for-the-page"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if not Path(CHROMIUM).is_file():
        pytest.skip("Chromium is not here: apt-get install chromium")
    with playwright.sync_playwright() as running:
        # Chromium's own sandbox cannot be had by root.
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = running.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with serving(make_library(tmp_path)) as url:
        yield url


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.set_default_timeout(60_000)
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto(url)
    page.locator("#examples button").first.wait_for()
    yield page
    outside = [address for address in asked if not address.startswith((url, "data:"))]
    context.close()
    assert outside == [], "the page asked another machine"
    assert [text for text in wrong if "412" not in text] == []


def ask(page: Any, question: str = QUESTION) -> Any:
    page.fill("#question", question)
    page.press("#question", "Enter")
    turn = page.locator(".turn").first
    turn.locator("header", has_text=question).wait_for()
    turn.locator(".from").first.wait_for()
    return turn


def test_ask_edit_ask_again_undo(page: Any) -> None:
    first = ask(page)
    assert "Ulaanbaatar" in first.locator(".said").inner_text()
    assert "Mongolia capital" in first.locator(".facts").inner_text()
    assert int(first.locator(".share").first.inner_text().rstrip("%")) > 50
    first.locator("summary").click()
    tokens = first.locator(".tokens span")
    assert "".join(tokens.all_inner_texts()) == first.locator(".said").inner_text() and tokens.first.is_visible()

    page.get_by_role("button", name="Edit the capital of Mongolia").click()
    page.get_by_label("Value").fill("Karakorum\nand more")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved (version 2)").wait_for()
    assert "Karakorum" in ask(page).locator(".said").inner_text()

    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone (version 3)").wait_for()
    last = ask(page)
    assert "Ulaanbaatar" in last.locator(".said").inner_text() and "version 3" in last.locator(".from").inner_text()


def test_facts_are_added_found_and_removed(page: Any) -> None:
    page.get_by_role("button", name="Add a fact").click()
    for label, text in (("Entity", "富士山"), ("Property", "標高"), ("Value", "3776メートル")):
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("4 facts, version 2").wait_for()
    assert ask(page, "富士山の標高は？").locator(".said").inner_text().count("3776") == 1
    page.fill("#search", "標高")
    page.locator("#facts:has(tr:only-child)").wait_for()
    assert page.locator("#facts tr b").get_attribute("lang") == "zh"
    assert page.locator("#facts .value-text").get_attribute("lang") == "ja"
    page.get_by_role("button", name="Remove the 標高 of 富士山").click()
    page.get_by_text("No fact holds all of these words.").wait_for()
    page.get_by_role("button", name="History").click()
    page.locator("#versions li").nth(3).wait_for()
    page.get_by_role("button", name="Go back to version 2").click()
    page.get_by_text("Back to version 2").wait_for()
    page.get_by_role("button", name="Edit the 標高 of 富士山").wait_for()


def test_a_change_of_somebody_else_is_not_overwritten(page: Any, url: str) -> None:
    page.get_by_role("button", name="Edit the capital of Mongolia").click()
    which = {"entity": "Mongolia", "property": "capital"}
    page.request.put(f"{url}/api/knowledge/facts/fact", params=which, data={"value": "Elsewhere"})
    page.get_by_label("Value").fill("Mine")
    page.get_by_role("button", name="Save").click()
    problem = page.get_by_role("alert")
    problem.wait_for()
    assert "changed in version 2" in problem.inner_text()
    page.keyboard.press("Escape")
    page.get_by_text("Elsewhere").wait_for()


def test_markup_in_facts_and_questions_stays_text(page: Any, url: str) -> None:
    which = {"entity": f"Zembla {SCRIPT}", "property": "capital"}
    page.request.put(f"{url}/api/knowledge/facts/fact", params=which, data={"value": SCRIPT})
    page.reload()
    page.get_by_text(SCRIPT).first.wait_for()
    turn = ask(page, f"What is the capital of Zembla {SCRIPT}?")
    turn.get_by_text("script").first.wait_for()
    assert page.title() == "kblam" and page.locator("main script, main img").count() == 0


def test_refusals_and_answers_without_knowledge_are_shown_as_such(page: Any) -> None:
    page.check("#compare")
    turn = ask(page, "What is the national anthem of Zembla?")
    assert "Refused: no fact answers this" in turn.locator(".badge").inner_text()
    bare = turn.locator(".without .said:not(.coming)")
    bare.wait_for()
    assert turn.locator(".label").all_inner_texts() == ["With your facts", "Without knowledge"]


def test_the_keyboard_is_enough(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the question"
    page.keyboard.press("Enter")
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.locator(".turn .from").wait_for()
    assert "Ulaanbaatar" in page.locator("#spoken").inner_text()
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input:not([hidden]), textarea, select')].filter(element => "
        "!(element.textContent.trim() || element.ariaLabel || element.labels?.length)).map(element => element.outerHTML)"
    )
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_and_can_be_read(browser: Any, url: str, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    ask(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    texts = ".said, .from, .badge, .name, .turn header p, .main"
    for ink, paper in page.evaluate(
        """selector => [...document.querySelectorAll(selector)].filter(e => e.offsetParent).map(element => {
          let below = element;
          while (getComputedStyle(below).backgroundColor === 'rgba(0, 0, 0, 0)') below = below.parentElement;
          return [getComputedStyle(element).color, getComputedStyle(below).backgroundColor];
        })""",
        texts,
    ):
        assert contrast(ink, paper) >= 4.5, (ink, paper)
    context.close()


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_page_asks_for_the_key(browser: Any, tmp_path: Path) -> None:
    with serving(make_library(tmp_path), keys=(KEY,)) as url:
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        for given in ("a-wrong-key", KEY):
            page.get_by_label("Key", exact=True).fill(given)
            page.get_by_role("button", name="Continue").click()
        page.locator("#facts tr").first.wait_for()
        assert "Ulaanbaatar" in ask(page).locator(".said").inner_text()
        context.close()
