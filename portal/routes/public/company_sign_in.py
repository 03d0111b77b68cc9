"""Staff sign in with the company's own provider (OpenID Connect), beside the mailed link.

Who somebody is there is issuer and subject. An address only helps to find the member of staff the first time, if the
provider verified it, and a person says yes to it on a page.
"""

from functools import partial
from typing import Any, NamedTuple

from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from httpx2 import HTTPError
from joserfc.errors import JoseError
from sqlalchemy import select
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router

from portal import auth
from portal.accounts.models import Staff
from portal.accounts.rules import normalised_email
from portal.deps import Ask, PublicAsk, answer_in_writing, public_pages
from portal.errors import N_, NotFound, Refused
from portal.routes.public.sign_in import start_session
from portal.settings import Settings
from portal.threads import in_a_thread
from portal.web import cookie_name, wiring_of

PREFIX = "/company-sign-in"
MINUTES_SECONDS = 600
_WAITING = "waiting"

pages = public_pages()


class Identity(NamedTuple):
    """Who the provider says somebody is."""

    issuer: str
    subject: str
    email: str
    """Empty unless the provider verified it."""


class CannotSignIn(Refused):
    """The provider's answer lets nobody in."""

    status = 403


class ProviderAway(Refused):
    """The provider can't be reached, or didn't answer as it should."""

    status = 503


def mount(settings: Settings) -> list[BaseRoute]:
    """The routes, if a provider is configured. Only they have a session cookie of Starlette's, for ten minutes."""
    if not settings.oidc_issuer:
        return []
    if not settings.oidc_issuer.startswith("https://") and not settings.oidc_allow_insecure:
        raise ValueError("PORTAL_OIDC_ISSUER: set an https address")
    oauth = OAuth()
    oauth.register(
        "company",
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256", "timeout": 10},
    )
    session = Middleware(
        SessionMiddleware,
        secret_key=settings.secret_key.get_secret_value(),
        session_cookie=cookie_name(settings, "company"),
        max_age=MINUTES_SECONDS,
        same_site="lax",
        https_only=settings.secure_cookies,
    )
    routes: list[BaseRoute] = [
        Route("/start", partial(_leave_for_provider, oauth.company)),
        Route("/back", partial(_come_back, oauth.company)),
        *pages.routes,
    ]
    return [Mount(PREFIX, Router(routes, redirect_slashes=False), middleware=[session])]


async def _leave_for_provider(company: Any, request: Request) -> Response:
    """To the provider. A link and not a form: `form-action 'self'` stops a form's redirect to another site."""
    redirect_uri = wiring_of(request).house.url(f"{PREFIX}/back")
    try:
        answer: Response = await company.authorize_redirect(request, redirect_uri)
    except (HTTPError, OAuthError, RuntimeError, ValueError) as failed:
        raise _away() from failed
    return answer


async def _come_back(company: Any, request: Request) -> Response:
    """From the provider with its word on who it is. All network first, then one unit of work."""
    try:
        token = await company.authorize_access_token(request)
    except (OAuthError, JoseError) as refused:
        raise CannotSignIn(N_("The sign-in was cancelled or took too long. Please start again.")) from refused
    except (HTTPError, RuntimeError, ValueError) as failed:
        raise _away() from failed
    identity = _identity(token, issuer=wiring_of(request).settings.oidc_issuer)
    request.session.clear()
    return await in_a_thread(answer_in_writing, request, partial(_admit, identity=identity))


def _away() -> ProviderAway:
    return ProviderAway(N_("Your company’s sign-in doesn’t answer. Please try again, or let us email you a link."))


def _identity(token: dict[str, Any], *, issuer: str) -> Identity:
    """What the verified id_token says. Without one Authlib gives a token with no `userinfo`, and raises nothing."""
    claims: dict[str, Any] = token.get("userinfo") or {}
    subject = claims.get("sub") if "id_token" in token else None
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or claims.get("iss") != issuer:
        raise CannotSignIn(N_("Your company’s sign-in didn’t say who you are. Please tell an administrator."))
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        return Identity(issuer, subject, "")
    return Identity(issuer, subject, normalised_email(email))


def _admit(ask: Ask, identity: Identity) -> Response:
    """In, if we know this identity; else to the page that asks whether it is them."""
    staff_id = auth.staff_of_identity(ask.db, issuer=identity.issuer, subject=identity.subject)
    if staff_id is not None:
        return start_session(ask, contact_id=None, staff_id=staff_id, way="company", next_path="")
    if not identity.email or _staff_with(ask, identity.email) is None:
        raise CannotSignIn(N_("Nobody of the staff has this address. Please ask an administrator to add you."))
    ask.request.session[_WAITING] = list(identity)
    return RedirectResponse(f"{PREFIX}/confirmation", 303, {"Cache-Control": "no-store"})


def _staff_with(ask: Ask, email: str) -> Staff | None:
    return ask.db.scalar(select(Staff).where(Staff.email == email, Staff.disabled_at.is_(None)))


def _waiting(ask: Ask) -> tuple[Identity, Staff]:
    kept = ask.request.session.get(_WAITING)
    identity = Identity(*kept) if kept else None
    staff = _staff_with(ask, identity.email) if identity else None
    if identity is None or staff is None:
        raise NotFound
    return identity, staff


@pages.get("/confirmation")
def ask_whether_it_is_them(ask: PublicAsk) -> Response:
    """Connects nothing yet: shows which of the staff it would be."""
    identity, staff = _waiting(ask)
    return ask.page(
        "public/company_sign_in.html", name=staff.name, email=identity.email, company=ask.settings.oidc_name
    )


@pages.post("/confirmation")
def confirm(ask: PublicAsk) -> Response:
    """From now on this identity is that member of staff."""
    identity, staff = _waiting(ask)
    auth.link_identity(ask.db, issuer=identity.issuer, subject=identity.subject, staff_id=staff.id, now=ask.now)
    ask.request.session.clear()
    return start_session(ask, contact_id=None, staff_id=staff.id, way="company", next_path="")
