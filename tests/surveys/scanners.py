"""What opens the links of survey mails besides people, as users of other products reported it (odoo#262262,
PostHog#43690): each scanner is one behaviour, seen from the server, at its own pace by the clock it is given.

A headless browser that runs scripts and presses the only button sends exactly what the page has filled in: that is what
`press` does; tests/e2e/test_scanners.py does it in a real one.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from random import Random
from urllib.parse import urlencode

from fastapi import FastAPI

from portal.clock import FixedClock

PREFETCHES = ({"sec-purpose": "prefetch;prerender"}, {"purpose": "prefetch"}, {"x-purpose": "preview"})
BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
    "",
)


@dataclass(frozen=True)
class Answer:
    status: int
    location: str
    text: str


class Client:
    """Calls the application without a network between: hundreds of scanners fit into seconds."""

    def __init__(self, app: FastAPI, clock: FixedClock) -> None:
        self.app, self.clock = app, clock

    def wait(self, seconds: float) -> None:
        self.clock.set(self.clock.now() + timedelta(seconds=seconds))

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._ask("GET", path, b"", headers)

    async def head(self, path: str, **headers: str) -> Answer:
        return await self._ask("HEAD", path, b"", headers)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        return await self._ask("POST", path, urlencode(fields).encode(), {**form, **headers})

    async def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost")]
            + [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "scheme": "http",
            "server": ("localhost", 80),
            "client": ("192.0.2.7", 4711),
            "root_path": "",
            "http_version": "1.1",
        }
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)  # type: ignore[arg-type]
        start = sent[0]
        found = {name.decode(): value.decode() for name, value in start["headers"]}  # type: ignore[attr-defined]
        text = b"".join(message.get("body", b"") for message in sent[1:]).decode()  # type: ignore[misc]
        return Answer(start["status"], found.get("location", ""), text)  # type: ignore[arg-type]


def filled_in(page: str) -> dict[str, str]:
    """What the survey's form would send if nothing but its button is pressed."""
    form = re.search(r'(?s)<form method="post"[^>]* id="survey".*?</form>', page)
    if form is None:
        return {}
    fields: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form[0]):
        known = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if known.get("type") in ("radio", "checkbox") and not re.search(r"\schecked\b", tag):
            continue
        fields[known["name"]] = unescape(known.get("value", ""))
    for name, words in re.findall(r'(?s)<textarea[^>]* name="(\w+)"[^>]*>\n?(.*?)</textarea>', form[0]):
        fields[name] = unescape(words)
    return fields


async def press(client: Client, link: str, page: str, *, times: int = 3, pause: float = 3.0) -> list[dict[str, str]]:
    """Presses the only button, and again on every page that comes back; gives what was sent."""
    sent = []
    for _ in range(times):
        fields = filled_in(page)
        if not fields:
            break
        sent.append(fields)
        answer = await client.post(link, fields)
        page = answer.text
        client.wait(pause)
    return sent


# The behaviours


def _scores() -> list[str]:
    return [f"?nps={n}" for n in range(11)] + [f"?csat={n}" for n in range(1, 6)]


async def every_link_within_a_second(client: Client, link: str, dice: Random) -> None:
    await asyncio.gather(*(client.get(link + score, user_agent=dice.choice(BROWSERS)) for score in _scores()))


async def a_flood_of_heads_and_gets(client: Client, link: str, dice: Random) -> None:
    for _ in range(6):
        ask = dice.choice((client.head, client.get))
        await ask(link + dice.choice(["", "/thanks", "/change", "/confirm", *_scores()]))


async def a_prefetch(client: Client, link: str, dice: Random) -> None:
    await client.get(link + dice.choice(_scores()), **dice.choice(PREFETCHES))
    client.wait(dice.uniform(0, 5))


async def a_browser_that_presses_the_only_button(client: Client, link: str, dice: Random) -> None:
    page = await client.get(link + dice.choice(["", *_scores()]), accept="text/html", user_agent=dice.choice(BROWSERS))
    client.wait(dice.choice((0, 0.4, 1.9, 2.1, 5, 30, 600)))
    await press(client, link, page.text, pause=dice.choice((0.1, 3, 60)))


async def ten_scores_at_once(client: Client, link: str, dice: Random) -> None:
    """Opens them in ten tabs and presses the button in each, once all have loaded."""
    pages = [await client.get(f"{link}?nps={n}", accept="text/html") for n in range(10)]
    client.wait(dice.choice((0.5, 4, 20)))
    for page in pages:
        await press(client, link, page.text, times=1, pause=0.01)


async def ten_scores_that_tick_too(client: Client, link: str, dice: Random) -> None:
    """The same, and it ticks every box that it finds: several scores at once remain."""
    pages = [await client.get(f"{link}?nps={n}", accept="text/html") for n in range(10)]
    client.wait(dice.choice((0.5, 4, 20)))
    for page in dice.sample(pages, 3):
        await client.post(link, {**filled_in(page.text), "mine": "yes"})


async def a_rewritten_link(client: Client, link: str, dice: Random) -> None:
    """Safe-Links style: the person's click waits while it is opened elsewhere, two seconds to ten minutes after delivery."""
    client.wait(dice.uniform(2, 600))
    score = dice.choice(_scores())
    await client.head(link + score, user_agent=dice.choice(BROWSERS))
    page = await client.get(link + score, accept="text/html", user_agent=dice.choice(BROWSERS))
    client.wait(dice.uniform(0, 60))
    await press(client, link, page.text, times=2)


async def a_late_repost(client: Client, link: str, dice: Random) -> None:
    """What was sent is kept, and sent again much later."""
    page = await client.get(link + dice.choice(_scores()), accept="text/html")
    sent = await press(client, link, page.text, times=1)
    client.wait(dice.choice((600, 3600, 7200)))
    for fields in sent:
        await client.post(link, fields)


async def a_post_without_the_page(client: Client, link: str, dice: Random) -> None:
    for fields in ({"nps": str(dice.randrange(11))}, {"csat": "1", "wants_help": "yes", "form": "made up"}):
        await client.post(link, fields)


async def a_filler_of_every_field(client: Client, link: str, dice: Random) -> None:
    """Security programs that test forms write into every field, seen or not."""
    page = await client.get(link + dice.choice(_scores()), accept="text/html")
    client.wait(5)
    fields = filled_in(page.text)
    await client.post(link, {**fields, "comment": "test", "subject": "test", "mine": "yes"})


async def a_draft_nobody_typed(client: Client, link: str, dice: Random) -> None:
    await client.post(f"{link}/draft", {"nps": str(dice.randrange(11)), "form": "made up"})


async def a_presser_of_other_buttons(client: Client, link: str, dice: Random) -> None:
    """Finds the page of a question that nobody asked, and the one for changing an answer that nobody gave."""
    await client.post(f"{link}/confirm", {"mine": "yes"})
    await client.post(link, {"csat": "1", "changes": "1"})


Scanner = Callable[[Client, str, Random], object]
SCANNERS = (
    every_link_within_a_second,
    a_flood_of_heads_and_gets,
    a_prefetch,
    a_browser_that_presses_the_only_button,
    ten_scores_at_once,
    ten_scores_that_tick_too,
    a_rewritten_link,
    a_late_repost,
    a_post_without_the_page,
    a_filler_of_every_field,
    a_draft_nobody_typed,
    a_presser_of_other_buttons,
)
