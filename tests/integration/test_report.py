"""The report in a real browser: opened from disk, by pointer and by keys, on a desk and a phone."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from mav_pipeline.config import QualityConfig
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize
from mav_pipeline.dataset.regate import regate
from mav_pipeline.report import write_report
from mav_pipeline.schema import SCORE_NAMES
from tests.fakes import FakeBackend, build_set, config, listed_set, moving_box, write_clip

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOSTILE = '"><img src=x onerror=alert(1)>'
PHONE = {"width": 390, "height": 844}

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, with a profile of its own; CI must have it."""
    path = shutil.which("chromium")
    if path is None and not os.environ.get("CI"):
        pytest.skip("there is no chromium: apt-get install chromium")
    assert path, "CI must have chromium: .ci/run installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens a set's report from disk; in the end it asked no network and complained of nothing."""
    contexts, troubles = [], []

    def requested(url: str) -> None:
        if not url.startswith(("data:", "blob:")):
            troubles.append(f"request: {url}")

    def open_report(built: BuiltSet, route: str = "", **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        own = (Path(f"{built.storage}") / "report" / "index.html").as_uri()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: request.url == own or requested(request.url))
        page.goto(own + route)
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]")
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> BuiltSet:
    """Two clips of two masklets each, half of them rejected and kept, and a clip that failed."""
    root = tmp_path_factory.mktemp("pictured")
    for clip in ("sav_000001", "sav_000002"):
        masks = {0: moving_box(3), 2: moving_box(3, top=20, left=30, side=8)}
        write_clip(root / "in", clip, masks)
    write_clip(root / "in", "sav_000003").write_bytes(b"no video")
    words = {"source.root": str(root / "in"), "output.root": str(root / "out")}
    words |= {"quality.keep_rejected": True, "quality.min_quality": 0.05}  # between the two
    built = build_set(config(words), FakeBackend(shift=3))
    finalize(built)
    write_report(built, config().report)
    return built


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> BuiltSet:
    """10,000 masklets: quality goes down and up again, every tenth is rejected."""
    rows = [
        {
            "key": f"clip_{number // 4:05d}" if number else HOSTILE,
            "masklet": f"manual_{number % 4:03d}",
            "status": "accepted" if number % 10 else "rejected",
            "reasons": [] if number % 10 else ["flicker", HOSTILE],
            "error": None if number % 10 else HOSTILE,
            "shard": "mav-000000",
            "frames": 12,
            "visible_frames": 12,
            "mean_area": 0.1,
            **dict.fromkeys(SCORE_NAMES, 0.5),
            "quality": (number * 7919 % 10_000) / 10_000,
        }
        for number in range(10_000)
    ]
    built = listed_set(tmp_path_factory.mktemp("large") / "out", rows)
    write_report(built, config({"report.masklets": 0}).report)
    return built


def column(page: Page, name: str) -> list[str]:
    """The cells of the table's column."""
    heads = page.locator("#heads th").all_inner_texts()
    place = [head.split()[0] for head in heads].index(name)
    return page.locator(f"#rows td:nth-child({place + 1})").all_inner_texts()


def sort(page: Page, name: str) -> str | None:
    """Sorts the table by a column; returns how it says that it is sorted."""
    page.get_by_role("button", name=name, exact=True).click()
    return page.locator(f'#heads th:has([data-column="{name}"])').get_attribute("aria-sort")


def shown(page: Page) -> str:
    return page.locator("#count").inner_text()


# the table


def test_the_table_sorts(opened: Open, pictured: BuiltSet) -> None:
    page = opened(pictured)
    assert len(column(page, "masklet")) == 5
    for wanted in ("ascending", "descending"):
        assert sort(page, "quality") == wanted
        *scored, missing = column(page, "quality")
        assert missing == "", "a row without the score comes last"
        assert scored == sorted(scored, key=float, reverse=wanted == "descending")
    assert sort(page, "masklet") == "ascending"
    assert column(page, "masklet")[-1] == "sav_000003 / whole clip"


def test_the_table_filters(opened: Open, pictured: BuiltSet) -> None:
    page = opened(pictured)
    form = page.locator("#find")
    form.get_by_label("Status").select_option("failed")
    assert column(page, "reasons") == ["corrupt"]
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#rows tr")).to_have_count(5)
    form.get_by_label("Reason").select_option("quality")
    assert set(column(page, "status")) == {"rejected"}
    page.get_by_role("button", name="Clear").click()
    form.get_by_label("Clip, masklet or error").fill("SAV_000002")
    assert {name[:10] for name in column(page, "masklet")} == {"sav_000002"}
    page.get_by_role("button", name="Clear").click()
    form.get_by_label("Score").select_option("mask_iou")
    form.get_by_label("from").fill("0.5")
    assert column(page, "mask_iou") == ["0.739", "0.739"]
    form.get_by_label("to").fill("0.6")
    assert shown(page) == "0 of 5 rows, page 1 of 1"


def test_ten_thousand_rows_never_stand_in_the_document_at_once(
    opened: Open, large: BuiltSet
) -> None:
    page = opened(large)
    assert shown(page) == "10,000 of 10,000 rows, page 1 of 200"
    elements = page.evaluate("document.querySelectorAll('*').length")
    assert page.locator("#rows tr").count() == 50
    sort(page, "quality")
    assert column(page, "quality")[:3] == ["0", "0.0001", "0.0002"]
    page.get_by_role("button", name="Next").click()
    assert column(page, "quality")[0] == "0.005"
    page.locator("#find").get_by_label("Status").select_option("rejected")
    assert shown(page) == "1,000 of 10,000 rows, page 1 of 20"
    page.locator("#find").get_by_label("Clip, masklet or error").fill("clip_01")
    assert shown(page).startswith("400 of 10,000")
    assert page.locator("#rows tr").count() == 50
    assert page.evaluate("document.querySelectorAll('*').length") <= elements + 50


def test_what_strangers_wrote_is_text_in_the_table_and_in_its_clips_view(
    opened: Open, large: BuiltSet
) -> None:
    page = opened(large)
    page.locator("#find").get_by_label("Reason").select_option(HOSTILE)
    assert column(page, "masklet")[0] == f"{HOSTILE} / manual_000"
    page.locator("#rows a").first.click()
    expect(page.get_by_role("dialog", name=HOSTILE)).to_be_visible()
    assert page.locator("img").count() == 0


# the gallery


def playing(page: Page) -> str:
    strip = page.locator("#cards .strip").first
    return strip.evaluate("strip => getComputedStyle(strip).animationName")


def test_a_masklet_plays_while_it_is_pointed_at_or_has_the_focus(
    opened: Open, pictured: BuiltSet
) -> None:
    page = opened(pictured)
    assert playing(page) == "none"
    page.locator("#cards .view").first.hover()
    assert playing(page) == "play"
    # Its frames lie below each other; the second one is shown in the second third of the time.
    moved = page.locator("#cards .strip").first.evaluate(
        """strip => {
          const [play] = strip.getAnimations();
          play.pause();
          return [100, 500, 900].map((time) => {
            play.currentTime = time;
            const top = new DOMMatrix(getComputedStyle(strip).transform).f;
            return Math.round(-top / (strip.getBBox().height / 3));
          });
        }"""
    )
    assert moved == [0, 1, 2]
    page.mouse.move(0, 0)
    page.locator("#find").get_by_label("Status").focus()
    assert playing(page) == "none"
    page.locator("#cards h3 a").first.focus()
    assert playing(page) == "play"


def test_nothing_moves_for_who_asked_for_less_motion(opened: Open, pictured: BuiltSet) -> None:
    page = opened(pictured, reduced_motion="reduce")
    page.locator("#cards .view").first.hover()
    assert playing(page) == "none"


def test_the_gallery_sorts_and_filters(opened: Open, pictured: BuiltSet) -> None:
    page = opened(pictured)
    cards = page.locator("#cards article:visible")

    def choose(select: str, option: str) -> None:
        page.locator(f"#choose [name={select}]").select_option(option)

    assert cards.count() == 4
    choose("order", "quality, highest first")
    qualities = cards.evaluate_all("cards => cards.map((card) => Number(card.dataset.quality))")
    assert qualities == sorted(qualities, reverse=True)
    choose("status", "rejected")
    assert {card.split("\n")[1] for card in cards.all_inner_texts()} == {"rejected"}
    expect(page.locator("#shown")).to_have_text("2 of 4 masklets")
    choose("status", "all")
    choose("group", "borderline")
    assert all("borderline" in card for card in cards.all_inner_texts())


def test_pictures_have_pixels_and_a_text_for_who_does_not_see_them(
    opened: Open, pictured: BuiltSet
) -> None:
    page = opened(pictured)
    assert page.locator("#cards [role=img][aria-label]").count() == 4 * 4
    decoded = page.locator("#cards image").evaluate_all(
        """images => Promise.all(images.map(async (image) => {
          const picture = new Image();
          picture.src = image.getAttribute("href");
          await picture.decode();
          return picture.naturalHeight === Number(image.getAttribute("height"));
        }))"""
    )
    assert decoded == [True] * 16


# the view of a clip


def test_a_clip_opens_with_scores_gates_and_all_its_frames(
    opened: Open, pictured: BuiltSet
) -> None:
    page = opened(pictured)
    page.locator("#masklets").scroll_into_view_if_needed()
    page.get_by_role("link", name="sav_000002 / manual_000").last.click()
    dialog = page.get_by_role("dialog", name="sav_000002")
    expect(dialog).to_be_visible()
    expect(page).to_have_url(re.compile("#clip=sav_000002$"))
    row = dialog.get_by_role("row", name="quality min").inner_text()
    assert row.split("\t") == ["quality", "min 0.05", "0.0746", "0.0371 ✕"]
    _, _, width, height = dialog.locator(".view").first.get_attribute("viewBox").split()
    assert int(height) > 2 * int(width), "three frames below each other"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(re.compile(r"index\.html$"))  # by the dialog's close event


def test_a_clip_has_an_address_and_the_back_button_leaves_it(
    opened: Open, pictured: BuiltSet
) -> None:
    page = opened(pictured, route="#clip=sav_000003")
    dialog = page.get_by_role("dialog", name="sav_000003")
    assert "corrupt" in dialog.inner_text()
    dialog.get_by_role("button", name="Close").click()
    page.locator("#rows a").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.evaluate("location.hash = '#clip=%E0%A4%A'")  # a mangled link
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.evaluate("location.hash = '#clip=nobody'")
    expect(page.get_by_role("dialog")).to_contain_text("no such clip")


# by a gate, in the dark, on a phone, without a script, without eyes


def test_a_gate_is_named_and_drawn(opened: Open, pictured: BuiltSet) -> None:
    quality = QualityConfig(**{**asdict(config().quality), "min_quality": 0.02})
    regate(pictured, "loose", quality)
    write_report(pictured, config({"report.gate": "loose"}).report)
    try:
        page = opened(pictured)
        expect(page.locator("header")).to_contain_text("Judged by the gate loose")
        gate = page.locator("figure:has(h3:text-is('quality')) text.limit-text")
        expect(gate).to_have_text("min 0.02")
        assert set(column(page, "status")) == {"accepted", "failed"}
    finally:
        write_report(pictured, config().report)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "desk"])
def test_everybody_can_read_it_and_nothing_is_cut_off(
    opened: Open, pictured: BuiltSet, scheme: str, size: dict[str, int]
) -> None:
    """axe-core knows the rules: names, roles, contrast, order of headings, targets, keyboard."""
    page = opened(pictured, viewport=size, color_scheme=scheme, bypass_csp=True)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0]")
    assert (int(ground) < 64) == (scheme == "dark")
    for details in page.locator("details").all()[:2]:
        details.locator("summary").click()
    for route in ("", "#clip=sav_000001"):
        page.evaluate("route => { location.hash = route; }", route)
        expect(page.get_by_role("dialog")).to_be_visible(visible=bool(route))
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        dialog = page.locator("dialog")
        assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_without_a_script_there_are_charts_pictures_and_failures(
    opened: Open, pictured: BuiltSet
) -> None:
    page = opened(pictured, java_script_enabled=False)
    expect(page.locator("#cards .view").first).to_be_visible()
    expect(page.locator(".chart svg").first).to_be_visible()
    expect(page.get_by_text("the video cannot be decoded")).to_be_visible()
    expect(page.locator("#find")).to_be_hidden()
    page.locator("#cards .view").first.hover()
