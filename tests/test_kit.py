"""The design kit: every macro with hostile words in every place for words, the pages of the kit, sheets, script and charts."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from markupsafe import Markup

from portal import charts, icons, styles
from portal.places import STATIC, TEMPLATES
from portal.templating import environment

KIB = 1024
PAGES = ("kit.html", "kit_staff.html", "problem.html")


class Words:
    """Words as an enemy would choose them, each one different, so that each can be found again."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def __call__(self) -> str:
        self.given.append(f"<script>{len(self.given)}</script>\"'><b onx=1>&amp;")
        return self.given[-1]


class Read(HTMLParser):
    """What a browser makes of it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def values_of(self, name: str) -> list[str]:
        return [value for attribute, value in self.attributes if attribute == name]


def _many(*values: Any) -> list[Any]:
    return list(values)


# One call of each macro: what is closed (tones, icons, states, numbers) as meant, every other place filled by `w()`.
CALLS: dict[str, Callable[[Words], dict[str, Any]]] = {
    "onward_mark": lambda w: {},
    "scene": lambda w: {},
    "little_road": lambda w: {},
    "two_roads": lambda w: {},
    "logo": lambda w: {"vendor": w(), "image": w(), "href": w()},
    "badge": lambda w: {"text": w(), "tone": "ok", "icon": "check"},
    "avatar": lambda w: {"name": w(), "portrait": w(), "size": "xs", "named": True},
    "button": lambda w: {
        "text": w(), "kind": "go", "icon": "check", "name": w(), "value": w(), "because": w(), "id": w(), "attrs": {"hx-post": w()},
    },
    "link": lambda w: {"text": w(), "href": w(), "icon": "right", "attrs": {"rel": w()}},
    "copy_button": lambda w: {"text": w(), "field_id": w()},
    "notice": lambda w: {"lead": w(), "text": w(), "tone": "bad", "id": w(), "label": w(), "caller": w},
    "toast": lambda w: {"text": w(), "undo": w()},
    "empty": lambda w: {"title": w(), "text": w(), "caller": w},
    "skeleton": lambda w: {},
    "card": lambda w: {"title": w(), "id": w(), "kicker": w(), "aside": w(), "attrs": {"hx-get": w()}, "caller": w},
    "progress": lambda w: {"value": 3, "max": 6, "label": w(), "tone": "ok"},
    "menu": lambda w: {"label": "", "text": w(), "caller": w},
    "tabs": lambda w: {"items": [(w(), w(), True), (w(), w(), False)], "label": w()},
    "pagination": lambda w: {"shown": w(), "newer": w(), "older": w(), "label": w()},
    "definitions": lambda w: {"items": [(w(), w())]},
    "dots": lambda w: {"items": _many(w(), w())},
    "datetile": lambda w: {"month": w(), "day": w(), "weekday": w()},
    "person": lambda w: {"name": w(), "note": w(), "portrait": w(), "href": w(), "caller": w},
    "table": lambda w: {"head": [(w(), True), ("", False)], "label": w(), "caller": w},
    "field": lambda w: {
        "name": w(), "label": w(), "value": w(), "hint": w(), "error": w(), "placeholder": w(), "autocomplete": w(), "id": w(),
        "attrs": {"min": w()}, "optional": True,
    },
    "textarea": lambda w: {
        "name": w(), "label": w(), "value": w(), "hint": w(), "error": w(), "placeholder": w(), "id": w(), "attrs": {"class": w()},
    },
    "select": lambda w: {
        "name": w(), "label": w(), "options": [(w(), w())], "hint": w(), "error": w(), "id": w(), "attrs": {"class": w()},
    },
    "tick": lambda w: {"name": w(), "text": w(), "value": w(), "note": w(), "aside": w(), "error": w(), "id": w()},
    "pick": lambda w: {"name": w(), "value": w(), "text": w(), "icon": "video", "note": w(), "id": w(), "attrs": {"class": w()}},
    "choices": lambda w: {"legend": w(), "hint": w(), "error": w(), "id": w(), "caller": w},
    "scale": lambda w: {"name": w(), "legend": w(), "low": w(), "high": w(), "value": "9", "error": w()},
    "faces": lambda w: {"name": w(), "legend": w(), "value": "4", "labels": [w() for _ in range(5)], "error": w()},
    "steps": lambda w: {"names": _many(w(), w())},
    "question": lambda w: {"number": 1, "heading": w(), "kicker": w(), "hint": w(), "caller": w},
    "error_summary": lambda w: {"errors": [(w(), w())]},
    "path": lambda w: {"stages": [(w(), "done", w()), (w(), "now", w()), (w(), "later", w())], "label": w()},
    "facts": lambda w: {"items": [(w(), w())]},
    "todo": lambda w: {"id": w(), "what": w(), "url": w(), "owner": w(), "due": w(), "tone": "slow", "path": w()},
    "lesson": lambda w: {"title": w(), "href": w(), "meta": w(), "state": "open", "percent": 70},
    "touchpoint": lambda w: {"when": w(), "day": w(), "title": w(), "how": w(), "text": w(), "gain": w(), "caller": w},
    "goal": lambda w: {"title": w(), "now": w(), "percent": 71, "note": w(), "met": True},
    "promise": lambda w: {
        "said": w(), "answer": w(), "by": w(), "state": "open", "state_text": w(), "on": w(), "caller": w,
    },
    "reach": lambda w: {"message_url": w(), "email": w()},
    "consultant": lambda w: {
        "name": w(), "role": w(), "portrait": w(), "text": w(), "phone": w(), "email": w(), "message_url": w(), "id": w(),
    },
    "meeting": lambda w: {
        "title": w(), "text": w(), "month": w(), "day": w(), "weekday": w(), "kicker": w(), "agenda": _many(w()), "id": w(), "caller": w,
    },
    "message": lambda w: {"author": w(), "when": w(), "text": w(), "portrait": w(), "id": w()},
    "share": lambda w: {"field_id": w(), "url": w(), "label": w()},
    "faq": lambda w: {"items": [(w(), w())]},
    "slot": lambda w: {"name": w(), "value": w(), "text": w(), "state": "booked", "attrs": {"hx-post": w()}},
    "slots": lambda w: {"legend": w(), "name": w(), "times": [(w(), w(), "free")]},
    "week": lambda w: {"days": [(w(), w(), [(w(), w(), "taken")], ""), (w(), w(), [], w())], "name": w()},
    "week_nav": lambda w: {"title": w(), "earlier": w(), "later": w()},
    "confirm_bar": lambda w: {"lead": w(), "text": w(), "button": w(), "id": w()},
    "temperature": lambda w: {"degrees": 34, "change": -21},
    "sla": lambda w: {"text": w(), "percent_left": 5, "tone": "bad", "note": w()},
    "deal": lambda w: {
        "id": w(), "name": w(), "href": w(), "plan": w(), "days": w(), "move_url": w(), "stage": w(), "degrees": 60, "owner": w(),
        "portrait": w(), "marks": [(w(), "bad", "phone")], "spent": 3, "limit": 1, "spent_text": w(), "flagged": True, "stuck": True,
    },
    "lane": lambda w: {"key": w(), "title": w(), "count": 0, "limit": 6, "note": w(), "empty": w(), "caller": w},
    "board": lambda w: {"label": w(), "id": w(), "caller": w},
    "jump": lambda w: {"items": [(w(), w())]},
    "move_fields": lambda w: {
        "stages": [(w(), w(), w())], "reason": w(), "error": w(), "warning": w(), "id": w(),
    },
    "move_dialog": lambda w: {"stages": [(w(), w(), w())], "warning": w(), "hx_target": w()},
    "trail": lambda w: {"stages": [(w(), "done", w()), (w(), "now", w())], "label": w()},
    "vitals": lambda w: {"items": [(w(), w(), w())]},
    "vital": lambda w: {"term": w(), "figure": w(), "note": w(), "tone": "ok", "line": Markup("<svg></svg>")},
    "event": lambda w: {
        "icon": "flag", "title": w(), "meta": w(), "text": w(), "quote": w(), "tone": "bad", "id": w(), "caller": w,
    },
    "answer_row": lambda w: {
        "href": w(), "score": w(), "of": w(), "score_tone": "bad", "account": w(), "words": w(), "left": w(), "percent_left": 5,
        "tone": "bad", "id": w(), "hx_target": w(),
    },
    "activity": lambda w: {
        "id": w(), "what": w(), "url": w(), "account": w(), "href": w(), "note": w(), "due": w(), "tone": "bad", "path": w(),
    },
    "appointment": lambda w: {
        "start": w(), "end": w(), "who": w(), "what": w(), "note": w(), "href": w(), "caller": w,
    },
    "contributions": lambda w: {"items": [(w(), -12), (w(), 9), (w(), 0)]},
    "figure": lambda w: {
        "title": w(), "finding": w(), "wide": Markup("<svg></svg>"), "narrow": Markup("<svg></svg>"), "id": w(), "aside": w(), "show": w(),
        "caller": w,
    },
    "few": lambda w: {"count": 7},
    "demobar": lambda w: {"date": w(), "acting_as": "customer", "path": w(), "unread": 3},
}  # fmt: skip


def _ui(locale: str = "en") -> SimpleNamespace:
    found = environment(locale).globals["ui"]
    assert isinstance(found, SimpleNamespace)
    return found


def _page_values(locale: str = "en", **more: object) -> dict[str, object]:
    """What the web layer gives to every page, and the drawings that a route would hand in."""
    points = [
        charts.IntervalPoint("May", 41, 23, 59, "May: 41, between 23 and 59"),
        charts.IntervalPoint("June", 45, 25, 65, "June: 45, between 25 and 65"),
    ]
    drawn: dict[str, object] = {}
    for narrow, size in ((False, "wide"), (True, "narrow")):
        drawn[f"nps_{size}"] = charts.interval_chart(
            points, key="nps", title="NPS", desc="From 41 to 45.", range_text="25 to 65", narrow=narrow
        )
        drawn[f"trend_{size}"] = charts.trend_chart(
            [62, 52, 71], events={0: "Live"}, key="trend", title="Temperature", desc="From 62 to 71.", narrow=narrow
        )
        drawn[f"columns_{size}"] = charts.column_chart(
            [charts.Column("May", 3, "+$3k"), charts.Column("June", -1, "−$1k", "slow")],
            key="mrr", title="MRR", desc="Up, then down.", narrow=narrow,
        )  # fmt: skip
    me = SimpleNamespace(name="Noor Haddad", role="administrator", account_name="Moss & Rye Bakery", portrait="")
    return {
        "me": me, "now": datetime(2026, 6, 18, 10, 20, tzinfo=UTC), "zone": "Europe/London", "theme": "", "path": "/kit", "said": SimpleNamespace(text="Saved.", undo="/undo"),
        "demo": True, "vendor": "Larderly", "may": lambda _permission: True, "icon_names": icons.NAMES, "status": 404,
        "title": "We couldn’t find that", "message": "It may have moved.", "help_email": "help@larderly.example", "inbox_count": 7,
        "csat_split": charts.split_bar([charts.Share("a", 100, "Very happy: 100%")], label="Very happy 100%"),
        **drawn, **more,
    }  # fmt: skip


# Words of people


def test_every_macro_is_tried_with_hostile_words() -> None:
    assert sorted(CALLS) == sorted(vars(_ui()))


@pytest.mark.parametrize("name", sorted(CALLS))
def test_hostile_words_stay_words(name: str) -> None:
    words = Words()
    read = Read(str(getattr(_ui(), name)(**CALLS[name](words))))
    assert "script" not in read.tags
    assert [attribute for attribute, _ in read.attributes if attribute.startswith("onx")] == []
    everything = read.text + "\0".join(value for _, value in read.attributes)
    assert [word for word in words.given if word not in everything] == []


def test_hostile_words_stay_words_in_charts() -> None:
    words = Words()
    drawings = [
        charts.interval_chart(
            [charts.IntervalPoint(words(), 20, 10, 30, words()) for _ in range(2)],
            key=words(), title=words(), desc=words(), range_text=words(), mark=(0, words()),
        ),
        charts.trend_chart([1, 2], events={0: words()}, key="k", title=words(), desc=words()),
        charts.column_chart([charts.Column(words(), 1, words(), words())], key="k", title=words(), desc=words()),
        charts.split_bar([charts.Share(words(), 100, words())], label=words()),
        charts.ring(50, words()),
    ]  # fmt: skip
    read = Read("".join(drawings))
    assert "script" not in read.tags
    everything = read.text + "\0".join(value for _, value in read.attributes)
    assert [word for word in words.given if word not in everything] == []


def test_an_icon_that_does_not_exist_fails_where_it_is_asked_for() -> None:
    with pytest.raises(KeyError):
        _ui().badge("Sent", icon="chek")


# Forms


def test_a_field_keeps_what_was_typed_and_says_what_is_wrong() -> None:
    form = SimpleNamespace(typed={"email": "gil@driftwood"}, errors={"email": "Add the ending, such as .com"})
    read = Read(str(_ui().field("email", "Email", type="email", hint="Only for this invitation.", form=form)))
    assert read.values_of("value") == ["gil@driftwood"]
    assert read.values_of("aria-invalid") == ["true"]
    assert read.values_of("aria-describedby") == ["email-h email-e"]
    assert {"email", "email-h", "email-e"} == set(read.values_of("id"))


def test_what_was_emptied_stays_empty() -> None:
    form = SimpleNamespace(typed={"note": ""}, errors={"note": ""})
    assert "before" not in str(_ui().textarea("note", "Note", value="before", form=form))


def test_a_password_is_never_written_back() -> None:
    assert "hunter2" not in str(_ui().field("password", "Password", type="password", value="hunter2"))


def test_the_scale_is_one_group_of_real_radios() -> None:
    read = Read(str(_ui().scale("nps", "How likely?", "not at all likely", "certain", value=9)))
    assert read.values_of("type") == ["radio"] * 11
    assert read.values_of("name") == ["nps"] * 11
    assert read.values_of("value") == [str(step) for step in range(11)]
    assert (read.tags.count("fieldset"), read.tags.count("legend"), len(read.values_of("checked"))) == (1, 1, 1)


def test_ticking_a_milestone_works_without_script() -> None:
    read = Read(str(_ui().todo("m1", "Count", url="/milestones/1/done")))
    assert (read.values_of("action"), read.values_of("method")) == (["/milestones/1/done"], ["post"])
    assert read.values_of("aria-pressed") == ["false"]


# Pages of the kit


@pytest.mark.parametrize("locale", ["en", "pt-BR"])
@pytest.mark.parametrize("page", PAGES)
def test_every_reference_on_the_kits_pages_leads_somewhere_and_no_id_comes_twice(page: str, locale: str) -> None:
    read = Read(environment(locale).get_template(page).render(_page_values()))
    ids = read.values_of("id")
    assert [ident for ident, times in Counter(ids).items() if times > 1] == []
    named = [name for attribute in ("for", "aria-labelledby", "aria-describedby") for name in read.values_of(attribute)]
    assert [ident for names in named for ident in names.split() if ident not in ids] == []
    assert read.values_of("lang")[0] == locale


def test_a_page_that_nobody_is_signed_in_to_see_needs_no_one() -> None:
    html = environment("en").get_template("problem.html").render(_page_values(me=None, demo=False, said=None))
    assert "We couldn’t find that" in html


def test_the_consultant_does_not_see_what_she_may_not_open() -> None:
    html = environment("en").get_template("kit_staff.html").render(_page_values(may=lambda _permission: False))
    assert [address for address in ("/staff/insights", "/admin") if f'href="{address}"' in html] == []


def test_no_template_asks_for_what_the_content_policy_forbids() -> None:
    forbidden = re.compile(r"<style|\sstyle=|\shx-on|\son[a-z]+=|javascript:|\|\s*safe|<script(?![^>]*\ssrc=)")
    offences = [
        f"{path.relative_to(TEMPLATES)}: {found.group()}"
        for path in sorted(TEMPLATES.rglob("*.html"))
        if "mail" not in path.relative_to(TEMPLATES).parts
        for found in forbidden.finditer(path.read_text(encoding="utf-8"))
    ]
    assert offences == []


# Sheets and script


@pytest.mark.parametrize("sheet", sorted(styles.SHEETS))
def test_a_sheet_is_built_from_its_layers_and_stays_small(sheet: str) -> None:
    served = (STATIC / sheet).read_text(encoding="utf-8")
    assert served == styles.bundle(STATIC / "css", styles.SHEETS[sheet]), "run: python -m portal.styles"
    assert len(served.encode()) <= 40 * KIB


def test_the_script_stays_under_four_kilobytes() -> None:
    assert (STATIC / "app.js").stat().st_size < 4 * KIB


@pytest.mark.parametrize("sheet", sorted(styles.SHEETS))
def test_a_sheet_loads_nothing_from_elsewhere(sheet: str) -> None:
    addresses = re.findall(r"url\(([^)?]+)", (STATIC / sheet).read_text(encoding="utf-8"))
    assert all(STATIC.joinpath(address.removeprefix("/static/")).is_file() for address in addresses)
    assert len(addresses) == (0 if sheet == "admin.css" else 2)  # it stands beside staff.css, which has the fonts


# Charts


def test_seven_stages_stand_where_they_were_drawn() -> None:
    assert charts.climb(7) == (85, 80, 55, 45, 40, 25, 15)


@pytest.mark.parametrize("count", range(1, 13))
def test_any_number_of_stages_climbs_and_every_height_has_a_class(count: int) -> None:
    heights = charts.climb(count)
    assert len(heights) == count
    assert list(heights) == sorted(heights, reverse=True)
    sheet = (STATIC / "css" / "customer.css").read_text(encoding="utf-8")
    assert [height for height in heights if f".y{height} " not in sheet] == []


@pytest.mark.parametrize("reached", range(8))
def test_the_walked_part_of_the_hill_and_the_part_ahead_make_the_whole(reached: int) -> None:
    paths = dict(re.findall(r'<path class="(\w+)" d="([^"]+)"', charts.hill(reached)))
    assert (paths["done"].count("C"), paths["next"].count("C")) == (reached, 8 - reached)


def test_bars_start_at_zero_and_share_their_scale() -> None:
    assert 'class="in" width="50"' in charts.bar(5, of=10)
    assert 'class="in" width="105"' in charts.stage_bar(116, 11, cohort=120)
    assert 'class="in" width="0"' in charts.bar(5, of=0)


def test_whiskers_of_one_table_can_be_compared() -> None:
    def middle(drawing: str) -> float:
        return float(re.findall(r'<circle cx="([\d.]+)"', drawing)[0])

    low, high = charts.whisker(-100, low=-100, high=-80), charts.whisker(100, low=90, high=100)
    assert (middle(low), middle(charts.whisker(0, low=-10, high=10)), middle(high)) == (5, 75, 145)


def test_charts_of_nothing_draw_nothing() -> None:
    drawings = [
        charts.spark([]),
        charts.spark([3]),
        charts.trend_chart([1], events={}, key="k", title="t", desc="d"),
        charts.interval_chart([], key="k", title="t", desc="d", range_text=""),
        charts.column_chart([], key="k", title="t", desc="d"),
    ]
    assert drawings == [""] * 5


def test_a_temperature_beyond_the_scale_stays_in_the_glass() -> None:
    assert (charts.thermo(-5), charts.thermo(140)) == (charts.thermo(0), charts.thermo(100))


@pytest.mark.parametrize(("value", "shown"), [(45, "+45"), (0, "0"), (-12, "−12")])
def test_the_last_score_is_written_with_its_sign(value: int, shown: str) -> None:
    drawn = charts.interval_chart(
        [charts.IntervalPoint("June", value, value - 9, value + 9, "")], key="k", title="t", desc="d", range_text=""
    )
    assert f">{shown}</text>" in drawn
