"""The set-up's front page, and the list of its sections that the frame shows at the side: one table for both."""

from typing import Any, NamedTuple

from starlette.responses import Response

from portal.deps import StaffAsk, admin_pages
from portal.errors import N_
from portal.policy import Permission

home = admin_pages(Permission.EDIT_CONTENT)
"""`/admin` itself: a mount answers only what is below it."""


class Section(NamedTuple):
    """A part of the set-up: `key` is what its pages set as `section`."""

    key: str
    path: str
    icon: str
    name: str
    about: str
    permission: Permission


SECTIONS: tuple[Section, ...] = (
    Section(
        "plans",
        "/admin/plans",
        "path",
        N_("Plans"),
        N_("What new customers start with: conversations and steps, for each product."),
        Permission.EDIT_CONTENT,
    ),
    Section(
        "people",
        "/staff/people",
        "users",
        N_("Team"),
        N_("Who works here, and what they may do."),
        Permission.MANAGE_STAFF,
    ),
    Section(
        "lessons",
        "/admin/lessons",
        "book",
        N_("Lessons"),
        N_("What customers read: lessons, examples and news."),
        Permission.EDIT_CONTENT,
    ),
    Section(
        "surveys",
        "/admin/surveys",
        "star",
        N_("Surveys"),
        N_("What customers are asked, when somebody counts as unhappy, and what that sets going."),
        Permission.EDIT_SURVEYS,
    ),
    Section(
        "meeting_kinds",
        "/staff/meeting-kinds",
        "cal",
        N_("Kinds of meeting"),
        N_("What customers can book, how long it takes, and how much time you get around it."),
        Permission.EDIT_CONTENT,
    ),
    Section(
        "asking",
        "/admin/asking",
        "send",
        N_("When we ask"),
        N_("Surveys after meetings, from time to time, and by hand."),
        Permission.SEND_SURVEYS,
    ),
    Section(
        "reasons",
        "/admin/reasons",
        "list",
        N_("Reasons for flags"),
        N_("What can be chosen when a flag is settled."),
        Permission.EDIT_REASONS,
    ),
    Section(
        "imports",
        "/staff/import",
        "upload",
        N_("Import"),
        N_("Won deals from your CRM’s export."),
        Permission.IMPORT_DEALS,
    ),
    Section(
        "privacy",
        "/admin/privacy",
        "shield",
        N_("People’s data"),
        N_("Copies for who asks, and who is to be forgotten."),
        Permission.MANAGE_PRIVACY,
    ),
)
"""In the order in which they are shown."""


def shell(ask: Any) -> dict[str, object]:
    """The sections that this reader may enter, for the set-up's frame."""
    return {"sections": [one for one in SECTIONS if ask._may(one.permission)]}


@home.get("/admin")
def setup(ask: StaffAsk) -> Response:
    """What can be set up, by whoever asks."""
    return ask.page("admin/home.html")
