"""Where a survey is answered: by the mail's sealed link, or signed in."""

from portal import links
from portal.house import House

SURVEY = "survey"
"""The purpose that the links in survey mails are sealed for."""


def sealed_path(house: House, invitation_id: int, nonce: str) -> str:
    """Where a mail's link leads: one person, one survey, without signing in."""
    return f"/s/{links.seal(house.secret, SURVEY, invitation_id, nonce)}"


def own_path(invitation_id: int) -> str:
    """The same survey for its person, signed in."""
    return f"/surveys/{invitation_id}"
