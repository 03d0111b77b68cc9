"""Something to read, from the manager who writes it to the customer who says that it didn't help and back again: on a phone,
with JavaScript and without."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Request, expect

from tests.e2e.conftest import Served, Visitor
from tests.test_media import picture

TEXT = """Clear the shelves.

{picture}

## See it done

:::video https://videos.larderly.example/count
title: Counted in twenty minutes
length: 3:20
poster: {poster}

Hello, I am Noor.
:::

## When you are done

Press **Finish**. [Their site](https://vendor.example)
"""


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("with_script", [True, False], ids=["with script", "without script"])
def test_written_read_judged_and_heard(
    served: Served, visitor: Callable[..., Visitor], tmp_path: Path, with_script: bool
) -> None:
    file = tmp_path / "shelf.png"
    file.write_bytes(picture(size=(320, 180)))

    # Rui writes, on his phone too.
    rui = served.sign_in(visitor(width=375, java_script_enabled=with_script), staff_id=served.people.rui)
    rui.goto(f"{served.address}/admin/lessons/new?kind=tutorial")
    english = rui.get_by_role("region", name="English")
    rui.get_by_label("Stage", exact=True).select_option("demand_analysis")
    english.get_by_label("Title").fill("Count your stock")
    english.get_by_label("In a sentence").fill("In twenty minutes.")
    rui.get_by_label("Upload a picture or file").set_input_files(file)
    rui.get_by_role("button", name="Upload", exact=True).click()
    expect(rui.get_by_text("Just uploaded")).to_be_visible()
    expect(english.get_by_label("Title")).to_have_value("Count your stock")
    line = rui.get_by_label("Line for shelf.webp").input_value()
    poster = re.sub(r".*\((.*)\)", r"\1", line)
    english.get_by_label("Text").fill(TEXT.format(picture=line.replace("![shelf]", "![A tidy shelf]"), poster=poster))
    if not with_script:
        rui.get_by_role("button", name="Preview").click()
    preview = rui.get_by_role("region", name="Preview")
    expect(preview.get_by_text("Counted in twenty minutes")).to_be_visible()
    rui.get_by_role("button", name="Save and publish").click()
    expect(rui.get_by_text("Published. Readers find it now.")).to_be_visible()
    assert fits(rui)
    if with_script:
        assert violations(rui) == []

    # Sofia reads, finishes, and says what she thinks of it.
    sofia = served.sign_in(visitor(width=375, java_script_enabled=with_script), contact_id=served.people.sofia)
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    sofia.on("request", note)
    sofia.goto(f"{served.address}/learn")
    sofia.get_by_role("link", name=re.compile("Count your stock")).last.click()
    expect(sofia.get_by_role("img", name="A tidy shelf")).to_be_visible()
    press = sofia.get_by_role("link", name=re.compile("Counted in twenty minutes"))
    expect(press).to_have_attribute("href", "https://videos.larderly.example/count")
    sofia.get_by_text("Read what is said in it").click()
    expect(sofia.get_by_text("Hello, I am Noor.")).to_be_visible()
    assert fits(sofia)
    if with_script:
        assert violations(sofia) == []
        sofia.get_by_role("button", name="Mark as finished").scroll_into_view_if_needed()
        sofia.wait_for_timeout(300)
        sofia.reload()
    sofia.get_by_role("button", name="Mark as finished").click()
    sofia.get_by_role("button", name="Not really").click()
    sofia.get_by_label("What was missing?").fill("How to count the freezer.")
    sofia.get_by_role("button", name="Send").click()
    expect(sofia.get_by_text("You told us what was missing.")).to_be_visible()
    assert {url for url in asked if not url.startswith((served.address, "data:"))} == set()

    # Rui hears it.
    rui.goto(f"{served.address}/admin/lessons/report")
    unhelped = rui.get_by_role("region", name="What didn’t help")
    expect(unhelped).to_contain_text("Count your stock didn’t help Sofia Reis")
    expect(unhelped).to_contain_text("How to count the freezer.")
    assert fits(rui)
    if with_script:
        assert violations(rui) == []
    rui.get_by_role("link", name="Count your stock").click()
    expect(rui.get_by_role("row", name=re.compile("Sofia Reis"))).to_contain_text("How to count the freezer.")
