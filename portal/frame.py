"""What stands around every page: who is signed in, how it looks, what waits, and the demo's controls.

Built once for each request and read by the frames (templates/*/_frame.html); pages never look into it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Toast:
    """A short word about what was just done. `undo` is a URL to post to, empty where nothing can be taken back."""

    text: str
    undo: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class DemoBar:
    """The demo's clock and people. `date` is formatted; `acting_as` is "" while nobody is signed in."""

    date: str
    acting_as: str = ""
    unread_mails: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """Defaults suit a page that nobody is signed in to see.

    `theme` is "light", "dark" or "" (the system decides). `logo`, `portrait` and `brand_css` are URLs or empty.
    `path` is where the forms of the frame come back to.
    """

    path: str = "/"
    theme: str = ""
    vendor: str = "Onward"
    logo: str = ""
    brand_css: str = ""
    help_email: str = ""
    person: str = ""
    organisation: str = ""
    portrait: str = ""
    inbox_count: int = 0
    unread_messages: int = 0
    sees_insights: bool = False
    administers: bool = False
    toasts: tuple[Toast, ...] = ()
    demo: DemoBar | None = None
