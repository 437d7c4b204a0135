"""The studio as people use it: both modes, files, the tree, the player, a lost connection, a small screen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.registry.studio.conftest import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

pytestmark = pytest.mark.slow

OpenPage = Callable[..., "Page"]
SHORT = 5
"""Seconds that are composed."""


def expect(locator: Locator) -> Any:
    from playwright.sync_api import expect

    return expect(locator)


def shorten(page: Page) -> None:
    """Have pieces of a few seconds composed."""
    slide(page.get_by_role("slider", name="Length"), SHORT)


def slide(slider: Locator, value: float) -> None:
    slider.evaluate(
        "(element, value) => { element.value = value; element.dispatchEvent(new Event('input', {bubbles: true})) }",
        value,
    )


def compose(page: Page, count: int = 2) -> None:
    """Compose in the advanced view, and wait for what comes of it."""
    slide(page.get_by_role("slider", name="Completions"), count)
    page.get_by_role("button", name="Compose", exact=False).last.click()
    expect(page.get_by_role("tree").get_by_role("treeitem")).to_have_count(count, timeout=PATIENCE)


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the page."""
    page.evaluate(
        """([name, bytes]) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [name, [*content]],
    )


@pytest.fixture
def workshop(open_page: OpenPage) -> Page:
    """The advanced view with a piece of two completions."""
    page = open_page(width=1440, height=900, view="compose")
    shorten(page)
    compose(page)
    return page


def test_a_style_and_a_click_give_music(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("radio", name="Jazz").check(force=True)
    page.get_by_role("button", name="Compose").click()
    expect(page.get_by_role("heading", name="Jazz · 1")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("button", name="Another one")).to_be_enabled()
    expect(page.get_by_role("img", name="Piano roll of")).to_be_visible()


def test_a_ready_made_sample_plays_at_once(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("button", name="Bach 1").click()
    expect(page.get_by_role("heading", name="Bach 1, ready-made")).to_be_visible()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    position = page.get_by_role("slider", name="Position")
    page.wait_for_function("element => Number(element.value) > 0.3", arg=position.element_handle(), timeout=PATIENCE)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    slide(position, 1)
    assert float(position.input_value()) == pytest.approx(1)


def test_completions_grow_and_one_is_chosen(workshop: Page) -> None:
    cards = workshop.get_by_role("article")
    expect(cards).to_have_count(2)
    second = cards.nth(1)
    second.get_by_role("button", name="Choose").click()
    expect(second.get_by_role("button", name="Choose")).to_have_attribute("aria-pressed", "true")
    expect(workshop.get_by_role("treeitem", selected=True)).to_have_count(1)


def test_a_piece_goes_on_from_where_it_is_cut(workshop: Page) -> None:
    grip = workshop.get_by_role("slider", name="Place to go on from")
    grip.focus()
    workshop.keyboard.press("Home")
    for _ in range(8):
        workshop.keyboard.press("ArrowRight")
    expect(grip).to_have_attribute("aria-valuenow", "2")
    workshop.get_by_role("button", name="Go on in 2 ways").click()
    items = workshop.get_by_role("treeitem")
    expect(items).to_have_count(4, timeout=PATIENCE)
    assert sorted(items.evaluate_all("all => all.map(each => each.ariaLevel)")) == ["1", "1", "2", "2"]


def test_the_tree_is_walked_renamed_and_undone(workshop: Page) -> None:
    items = workshop.get_by_role("treeitem")
    items.first.click()
    workshop.keyboard.press("ArrowDown")
    expect(items.nth(1)).to_have_attribute("aria-selected", "true")
    workshop.keyboard.press("F2")
    workshop.get_by_role("textbox", name="Rename").fill("The better one")
    workshop.keyboard.press("Enter")
    expect(workshop.get_by_role("treeitem", name="The better one")).to_be_visible()
    workshop.get_by_role("treeitem", name="The better one").focus()
    workshop.keyboard.press("Delete")
    expect(items).to_have_count(1)
    workshop.get_by_role("button", name="Undo").click()
    expect(items).to_have_count(2)
    workshop.get_by_role("button", name="Undo").click()
    expect(workshop.get_by_role("treeitem", name="The better one")).to_have_count(0)
    workshop.get_by_role("button", name="Redo").click()
    expect(workshop.get_by_role("treeitem", name="The better one")).to_have_count(1)


def test_a_project_is_kept_saved_and_read(workshop: Page, tmp_path: Path) -> None:
    with workshop.expect_download() as saved:
        workshop.get_by_role("button", name="Save").click()
    file = tmp_path / "mine.musenet.json"
    saved.value.save_as(file)
    assert len(json.loads(file.read_text())["pieces"]) == 2
    workshop.wait_for_timeout(500)
    workshop.reload()
    expect(workshop.get_by_role("treeitem")).to_have_count(2)
    workshop.get_by_role("button", name="New", exact=True).click()
    expect(workshop.get_by_role("treeitem")).to_have_count(0)
    opener = workshop.locator("input[type=file][accept*=json]")
    project = json.loads(file.read_text())
    first, second = (piece["candidate"] for piece in project["pieces"])
    first["unheard"] = ["harp", "drums"]
    del second["unheard"]  # as in a project of an earlier version
    file.write_text(json.dumps(project))
    opener.set_input_files(file)
    expect(workshop.get_by_role("treeitem")).to_have_count(2)
    expect(workshop.get_by_role("article").filter(has_text="Not heard: Harp, Drums")).to_have_count(1)
    expect(workshop.get_by_text("Not heard")).to_have_count(1)
    opener.set_input_files({"name": "notes.json", "mimeType": "application/json", "buffer": b"{}"})
    expect(workshop.get_by_text("notes.json is no project of the studio.")).to_be_visible()


def test_a_part_is_composed_anew(workshop: Page) -> None:
    workshop.get_by_role("radio", name="Change").check(force=True)
    button = workshop.get_by_role("button", name="Compose it anew in 2 ways")
    expect(button).to_be_disabled()
    workshop.get_by_label("From second").fill("1")
    workshop.get_by_label("From second").press("Tab")
    workshop.get_by_label("To second").fill("3")
    workshop.get_by_label("To second").press("Tab")
    button.click()
    items = workshop.get_by_role("treeitem")
    expect(items).to_have_count(4, timeout=PATIENCE)
    expect(workshop.get_by_role("treeitem", name="changed")).to_have_count(2)


def test_a_piece_begins_with_my_own_file(open_page: OpenPage, song: Callable[[int], bytes], tmp_path: Path) -> None:
    page = open_page(view="compose", width=1440)
    shorten(page)
    page.get_by_role("radio", name="My own MIDI").check(force=True)
    expect(page.get_by_text("Drop or choose a MIDI file first.")).to_be_visible()
    file = page.locator("input[type=file][accept*=mid]")
    file.set_input_files({"name": "notes.mid", "mimeType": "audio/midi", "buffer": b"no music"})
    expect(page.get_by_text("notes.mid is no MIDI file.")).to_be_visible()
    with (tmp_path / "long.mid").open("wb") as long:
        long.truncate(20 * 2**20)
    file.set_input_files(tmp_path / "long.mid")
    expect(page.get_by_text("long.mid has 20.0 MB")).to_be_visible()
    file.set_input_files({"name": "song.mid", "mimeType": "audio/midi", "buffer": song(0)})
    slide(page.get_by_role("slider", name="Of it are taken"), 2)
    compose(page)
    expect(page.get_by_role("heading", name="Free · ")).to_be_visible()


def test_a_file_may_be_dropped_anywhere(open_page: OpenPage, song: Callable[[int], bytes]) -> None:
    page = open_page(view="map")
    drop(page, "notes.mid", b"no music")
    expect(page.get_by_text("notes.mid is no MIDI file.")).to_be_visible()
    drop(page, "ideas.json", b"{}")
    expect(page.get_by_text("ideas.json is no project of the studio.")).to_be_visible()
    drop(page, "song.mid", song(0))
    expect(page.get_by_text("song.mid – drop another one")).to_be_visible()
    expect(page.get_by_role("button", name="Compose")).to_be_enabled()


def test_a_form_is_for_models_that_know_bars(open_page: OpenPage) -> None:
    page = open_page(width=1440, height=900, view="compose")
    expect(page.get_by_label("Form")).to_have_count(0)

    def in_beats(route: Route) -> None:
        answer = route.fetch().json()
        route.fulfill(json={"models": [{**model, "time": "beats"} for model in answer["models"]]})

    page.route("**/v1/models", in_beats)
    page.reload()
    page.get_by_label("Form").select_option("AABA")
    with page.expect_request("**/v1/compose") as composing:
        page.get_by_role("button", name="Compose", exact=False).last.click()
    assert composing.value.post_data_json["form"] == "AABA"
    page.get_by_label("Form").select_option("nothing comes back")
    expect(page.get_by_text("knows no bars").first).to_be_visible()  # as this model's time is in seconds after all
    with page.expect_request("**/v1/compose") as composing:
        page.get_by_role("button", name="Compose", exact=False).last.click()
    assert composing.value.post_data_json["recall"] == 0
    assert "form" not in composing.value.post_data_json


def test_a_server_without_the_training_pieces_says_so(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("radio", name="A known opening").check(force=True)
    expect(page.get_by_text("so there are no openings")).to_be_visible()
    expect(page.get_by_role("button", name="Compose")).to_be_disabled()


def test_instruments_are_muted_and_the_piece_is_exported(workshop: Page, tmp_path: Path) -> None:
    workshop.get_by_role("button", name="Instruments").click()
    mute = workshop.get_by_role("button", name="Mute").first
    mute.click()
    expect(mute).to_have_attribute("aria-pressed", "true")
    workshop.keyboard.press("Escape")
    for name, head in (("MIDI file", b"MThd"), ("Audio (WAV)", b"RIFF"), ("Piano roll (PNG)", b"\x89PNG")):
        workshop.get_by_role("button", name="Export this piece").click()
        with workshop.expect_download(timeout=60_000) as saved:
            workshop.get_by_role("button", name=name).click()
        workshop.keyboard.press("Escape")
        saved.value.save_as(tmp_path / "file")
        assert (tmp_path / "file").read_bytes().startswith(head)


def test_a_lost_connection_comes_back_and_loses_nothing(workshop: Page) -> None:
    workshop.context.set_offline(True)
    workshop.get_by_role("button", name="Go on in 2 ways").click()
    expect(workshop.get_by_text("The connection was lost.")).to_be_visible()
    expect(workshop.get_by_role("treeitem")).to_have_count(2)
    workshop.context.set_offline(False)
    expect(workshop.get_by_role("treeitem")).to_have_count(4, timeout=PATIENCE)
    expect(workshop.get_by_text("The server cannot be reached.")).to_have_count(0)


def test_music_waits_for_the_instruments(open_page: OpenPage) -> None:
    page = open_page()
    held: list[Route] = []
    page.route("**/v1/soundfont", lambda route: held.append(route))
    page.reload()
    page.get_by_role("button", name="Bach 1").click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    expect(page.get_by_text("Loading the instruments").first).to_be_visible()
    position = page.get_by_role("slider", name="Position")
    page.wait_for_timeout(300)
    assert float(position.input_value()) == 0
    held[0].continue_()
    page.wait_for_function("element => Number(element.value) > 0", arg=position.element_handle(), timeout=PATIENCE)


def test_a_server_that_cannot_load_its_model_says_so_until_it_can(open_page: OpenPage) -> None:
    page = open_page()
    failed = {"status": "failed", "version": None, "running": 0, "queued": 0}
    page.route("**/readyz", lambda route: route.fulfill(status=503, json=failed))
    page.reload()
    expect(page.get_by_text("The server cannot load its model.")).to_be_visible()
    page.unroute("**/readyz")
    expect(page.locator("main h1")).to_be_visible()


def test_a_server_with_a_token_asks_for_it(open_page: OpenPage, locked_address: str) -> None:
    page = open_page()
    page.goto(locked_address)
    field, button = page.get_by_label("Token"), page.get_by_role("button", name="Go on")
    field.fill("guess")
    button.click()
    expect(page.get_by_text("The server does not take this token.")).to_be_visible()
    expect(page.get_by_text("There is no sound")).to_have_count(0)
    field.fill("secret")
    button.click()
    expect(page.get_by_role("button", name="Compose")).to_be_visible()


def test_the_map_composes_in_a_style(open_page: OpenPage) -> None:
    page = open_page(view="map")
    style = page.get_by_role("button", name="Compose in the style Jazz")
    style.focus()
    expect(page.get_by_text("Jazz is nearest to")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Jazz · 1")).to_be_visible(timeout=PATIENCE)


def test_a_link_opens_the_very_piece(open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Bach 1").click()
    page.get_by_role("button", name="Export this piece").click()
    page.get_by_role("button", name="Copy a link").click()
    expect(page.get_by_text("The link is copied.")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    other = open_page(width=800)
    other.goto(link)
    expect(other.get_by_role("heading", name="from a link")).to_be_visible()


@pytest.mark.parametrize("view", ["", "compose", "map", "about"])
def test_a_small_screen_shows_all_without_scrolling_sideways(open_page: OpenPage, view: str) -> None:
    page = open_page(width=360, height=740, view=view)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_icons_grow_with_the_text_on_a_large_screen(open_page: OpenPage) -> None:
    share = "document.querySelector('.top svg').clientWidth / parseFloat(getComputedStyle(document.body).fontSize)"
    usual, large = (open_page(width=width, height=1200, view="about") for width in (1280, 3840))
    assert large.evaluate(share) == pytest.approx(usual.evaluate(share), rel=0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: OpenPage, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing").Axe()
    page = open_page(width=1440, height=900, view="compose", color_scheme=scheme)
    shorten(page)
    compose(page)
    for view in ("compose", "listen", "map", "about"):
        page.goto(f"{page.url.partition('#')[0]}#/{view}")
        page.locator("main h1").first.wait_for(state="attached")
        found = axe.run(page).response["violations"]
        serious = [
            (each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")
        ]
        assert not serious, f"{view}: {serious}"
