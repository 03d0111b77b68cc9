"""The public plan: what happens after they sign, for whoever has the link. Looking at it changes nothing."""

from starlette.responses import Response

from portal.auth import Customer
from portal.deps import PublicAsk, Token, public_pages
from portal.errors import NotFound
from portal.journeys import public_plans

pages = public_pages()


@pages.get("/p/{token}")
def plan(ask: PublicAsk, token: Token) -> Response:
    """The plan of a prospect. After the sale the link shows nothing of it: it leads to the sign-in page, and those who are
    signed in at that customer to their live plan. An ended link says so, and nothing else."""
    row = public_plans.find(ask.db, ask.house, token)
    if row is None:
        raise NotFound
    ask.speak_to(language=row.language, timezone=ask.settings.default_timezone)
    if row.revoked_at is not None:
        return _private(ask.page("public/plan_ended.html", 410))
    if row.connected_at is not None:
        if isinstance(ask.me, Customer) and ask.me.account_id == row.account_id:
            return _private(ask.see_other("/plan"))
        return _private(ask.page("public/plan_live.html"))
    shown = public_plans.shown(ask.db, row, locale=ask.locale)
    return _private(ask.page("public/plan.html", plan=shown))


def _private(response: Response) -> Response:
    """No search engine lists it, and no page that it links to learns its address."""
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
