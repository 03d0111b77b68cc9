"""Pictures only of our own, videos that load nothing before they are pressed, files as cards; and never a script."""

import re

import pytest

from portal.learning.markdown import as_html, media_in, parts, problems, snippet

ADDRESS = "0123456789abcdef0123456789abcdef01234567"
PICTURE = f"/media/{ADDRESS}/shelf.webp"
VIDEO = f"""
:::video https://videos.example/first-steps?a=1&b=2
title: First <i>steps</i>
length: 3:20
poster: {PICTURE}#1600x900

Hello, **I am Noor**.
:::
"""


def test_a_picture_of_ours_is_shown_in_its_size_and_one_of_elsewhere_is_its_words() -> None:
    shown = as_html(f"![Three shelves]({PICTURE}#1600x900)\n\n![Their cat](https://pictures.example/cat.png)")
    assert f'<img src="{PICTURE}" alt="Three shelves" width="1600" height="900" loading="lazy">' in shown
    assert "pictures.example" not in shown and "Their cat" in shown


def test_a_video_is_a_picture_of_ours_that_leads_elsewhere_once_it_is_pressed() -> None:
    shown = as_html(VIDEO)
    assert re.findall(r'src="([^"]*)"', shown) == [PICTURE]
    assert "<iframe" not in shown and "<video" not in shown
    [pressed] = re.findall(r"<a [^>]*>", shown)
    assert dict(re.findall(r'(\w+)="([^"]*)"', pressed)) == {
        "class": "facade",
        "href": "https://videos.example/first-steps?a=1&amp;b=2",
        "target": "_blank",
        "rel": "noopener noreferrer nofollow",
    }
    assert "First &lt;i&gt;steps&lt;/i&gt;" in shown
    assert "3:20 · Plays at videos.example in a new tab. Nothing loads from there before you press." in shown
    assert "<details><summary>Read what is said in it</summary>" in shown
    assert "<strong>I am Noor</strong>" in shown
    assert "Abre em videos.example, em outra aba." in as_html(VIDEO, "pt-BR")


def test_a_file_is_a_card_with_its_kind_and_size() -> None:
    line = snippet("Preços [2026].pdf", f"/media/{ADDRESS}/pre%C3%A7os.pdf", size=1_500_000, width=None, height=None)
    assert line == f"[Preços 2026](/media/{ADDRESS}/pre%C3%A7os.pdf#1500000)"
    shown = as_html(line, "pt-BR")
    assert f'href="/media/{ADDRESS}/pre%C3%A7os.pdf"' in shown and 'class="file"' in shown
    assert "PDF · 1,4 MB" in shown


def test_links_that_lead_elsewhere_are_marked_and_ours_are_not() -> None:
    shown = as_html("[out](https://vendor.example) [in](/plan) [mail](mailto:a@b.example)")
    assert shown.count('class="out"') == 1
    assert '<a href="/plan">in</a>' in shown and 'href="mailto:a@b.example"' in shown


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        '<b onclick="x()" hx-get="/y" hx-on:click="x()">b</b>',
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        f'![" onload="alert(1)]({PICTURE})',
        f'![a]({PICTURE}#"onload="alert(1))',
        '[x](https://a.example "\\" onmouseover=\\"alert(1)")',
        ":::video javascript:alert(1)\ntitle: x\n\nx\n:::",
        ':::video https://a.example/"onclick="alert(1)\ntitle: "><script>alert(1)</script>\n\n<script>alert(1)</script>\n:::',
        f":::video https://a.example\ntitle: x\nposter: https://pictures.example/p.png\n\n![p]({PICTURE})\n:::",
    ],
)
def test_nothing_hostile_comes_through(hostile: str) -> None:
    shown = as_html(hostile)
    tags = re.findall(r"<[^>]*>", shown)
    attributes = {name for tag in tags for name in re.findall(r'\s([\w:-]+)="', re.sub(r'"[^"]*"', '""', tag))}
    assert attributes <= {
        "href",
        "title",
        "rel",
        "class",
        "target",
        "download",
        "src",
        "alt",
        "width",
        "height",
        "loading",
    }
    assert not {tag for tag in tags if re.match(r"</?(script|iframe|svg|object|embed|style|form|input|b onclick)", tag)}
    assert not re.search(r'(href|src)="(javascript|data|vbscript):', shown)
    assert not re.search(r'src="(?!/media/)', shown)


def test_a_text_comes_in_its_parts() -> None:
    found = parts("Before.\n\n## One\n\nText\n\n> ## Quoted\n\n### Deeper\n\n## Two\n")
    assert [part.title for part in found] == ["", "One", "Two"]
    assert "<h2>One</h2>" in found[1].html and "Quoted" in found[1].html
    assert [part.title for part in parts("## Only\n")] == ["Only"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (VIDEO, []),
        (f"![Shelves]({PICTURE})", []),
        (f"![]({PICTURE})", ["A picture has no description"]),
        ("![Cat](https://pictures.example/cat.png)", ["The picture “%(alt)s” is at another host"]),
        (VIDEO.replace("Hello, **I am Noor**.", ""), ["The video “%(title)s” needs a transcript"]),
        (VIDEO.replace("\n:::\n", "\n"), ["The video “%(title)s” never ends"]),
        (VIDEO.replace("poster: ", "poster: https://pictures.example"), ["The video “%(title)s” needs a poster"]),
        (VIDEO.replace("title: First <i>steps</i>", "title:"), ["A video has no title"]),
        (VIDEO.replace("https:", "javascript:"), ["A video needs its address"]),
        (VIDEO.replace("Hello", f"![]({PICTURE}) Hello"), ["A picture has no description"]),
    ],
)
def test_what_a_writer_has_to_mend_is_said(text: str, said: list[str]) -> None:
    assert [problem.message[: len(start)] for problem, start in zip(problems(text), said, strict=True)] == said


def test_videos_within_videos_go_no_deeper() -> None:
    nested = ":::video https://a.example\ntitle: x\n\n" * 3000
    assert as_html(nested).count('class="video"') == 1


def test_the_pictures_and_files_of_a_text_are_known() -> None:
    assert media_in(VIDEO + f"[f](/media/{'f' * 40}/a.pdf)") == {ADDRESS, "f" * 40}
