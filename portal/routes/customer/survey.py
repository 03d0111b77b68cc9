"""The survey that waits on a customer's home: the same form as behind the mail's link, for who is signed in."""

from starlette.responses import Response

from portal.deps import CustomerAsk, Id, customer_pages
from portal.errors import NotFound
from portal.routes.public.survey import show_change, show_form, show_thanks, shown_form, take_answer, take_draft
from portal.surveys import queries
from portal.surveys.paths import own_path
from portal.surveys.queries import SurveyPage
from portal.surveys.rules import Provenance

pages = customer_pages()


def _own(ask: CustomerAsk, invitation: int) -> SurveyPage:
    """A survey of the person who asks. Errors: NotFound for anybody else's, a colleague's too."""
    page = queries.survey_page(ask.db, invitation, ask.now)
    if page is None or page.contact_id != ask.me.contact_id:
        raise NotFound
    return page


@pages.get("/surveys/{invitation}")
def survey(ask: CustomerAsk, invitation: Id) -> Response:
    return show_form(ask, _own(ask, invitation), at=own_path(invitation), way=Provenance.SIGNED_IN)


@pages.post("/surveys/{invitation}")
def send_survey(ask: CustomerAsk, invitation: Id) -> Response:
    page, shown = _own(ask, invitation), shown_form(ask, invitation)
    return take_answer(ask, page, at=own_path(invitation), way=Provenance.SIGNED_IN, shown=shown)


@pages.get("/surveys/{invitation}/thanks")
def thanks(ask: CustomerAsk, invitation: Id) -> Response:
    return show_thanks(ask, _own(ask, invitation), at=own_path(invitation))


@pages.get("/surveys/{invitation}/change")
def change(ask: CustomerAsk, invitation: Id) -> Response:
    return show_change(ask, _own(ask, invitation), at=own_path(invitation))


@pages.post("/surveys/{invitation}/draft")
def draft(ask: CustomerAsk, invitation: Id) -> Response:
    return take_draft(ask, _own(ask, invitation), way=Provenance.SIGNED_IN)
