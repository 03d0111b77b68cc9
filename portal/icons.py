"""The icon set and the survey faces, drawn for Onward: 20 by 20, stroke 1.6, round caps.

Each icon is written into the page where it stands (about 100 bytes): no second request, right in swapped fragments and
in print, and no doubt about which policy directive governs external sprites. Pure; text in, Markup out.
"""

from markupsafe import Markup

_PATHS = {
    "home": '<path d="m3 9.4 7-5.9 7 5.9M5 8v8.5h10V8M8.4 16.5v-4.3h3.2v4.3"/>',
    "path": (
        '<path d="M4 16h6.6a2.75 2.75 0 0 0 0-5.5H8.8a2.75 2.75 0 0 1 0-5.5H15"/><path d="M12.8 2.6 15.4 5l-2.6 '
        '2.4"/><circle cx="4" cy="16" r=".6"/>'
    ),
    "cal": '<rect x="3" y="4.4" width="14" height="12.6" rx="2"/><path d="M3 8.4h14M7 2.8v3M13 2.8v3"/>',
    "calplus": (
        '<rect x="3" y="4.4" width="14" height="12.6" rx="2"/><path d="M3 8.4h14M7 2.8v3M13 2.8v3M10 10.6v4M8 12.6h4"/>'
    ),
    "clock": '<circle cx="10" cy="10" r="7"/><path d="M10 6v4l2.7 1.8"/>',
    "check": '<path d="m4.5 10.6 3.7 3.7 7.4-8.4"/>',
    "okc": '<circle cx="10" cy="10" r="7"/><path d="m6.8 10.3 2.3 2.3 4.2-4.8"/>',
    "phone": (
        '<path d="M5.2 3.2h2.6l1.3 3.4-1.7 1.2a9 9 0 0 0 4.8 4.8l1.2-1.7 3.4 1.3v2.6a1.6 1.6 0 0 1-1.7 1.6A12.4 '
        '12.4 0 0 1 3.6 4.9a1.6 1.6 0 0 1 1.6-1.7Z"/>'
    ),
    "mail": '<rect x="2.8" y="4.5" width="14.4" height="11" rx="2"/><path d="m3.3 6.2 6.7 5 6.7-5"/>',
    "chat": '<path d="M3.5 4h13a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H9.4L5.5 17v-3h-2a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1Z"/>',
    "whats": (
        '<path d="m3 17 1.1-3.5a7 7 0 1 1 2.6 2.5Z"/><path d="M7.9 7.2h1l.6 1.6-.7.7a3.6 3.6 0 0 0 1.8 1.8l.7-.7 '
        '1.6.6v1c-3 .6-5.6-2-5-5Z"/>'
    ),
    "play": '<path d="M7 4.6v10.8l8.4-5.4Z"/>',
    "book": (
        '<path d="M10 5.6C8 4.1 5.5 3.8 3 4v11c2.5-.2 5 .1 7 1.6 2-1.5 4.5-1.8 7-1.6V4c-2.5-.2-5 .1-7 1.6Zm0 0v11"/>'
    ),
    "gift": (
        '<path d="M3 7.5h14v3H3zM4.2 10.5V17h11.6v-6.5M10 7.5V17M10 7.5C8 7.5 6 6.6 6 5a1.6 1.6 0 0 1 3-.6c.6.9 1 '
        '3.1 1 3.1s.4-2.2 1-3.1A1.6 1.6 0 0 1 14 5c0 1.6-2 2.5-4 2.5Z"/>'
    ),
    "link": (
        '<path d="M8.4 11.6a3 3 0 0 0 4.3 0l2.7-2.7a3 3 0 0 0-4.3-4.3l-1 1M11.6 8.4a3 3 0 0 0-4.3 0l-2.7 2.7a3 3 '
        '0 0 0 4.3 4.3l1-1"/>'
    ),
    "copy": (
        '<rect x="7" y="7" width="9.6" height="9.6" rx="1.8"/><path d="M13 7V5.2a1.8 1.8 0 0 0-1.8-1.8H5.2a1.8 '
        '1.8 0 0 0-1.8 1.8v6A1.8 1.8 0 0 0 5.2 13H7"/>'
    ),
    "share": (
        '<path d="M10 12.5V3M6.4 6.2 10 2.7l3.6 3.5M4 10.8v4.7A1.5 1.5 0 0 0 5.5 17h9a1.5 1.5 0 0 0 1.5-1.5v-4.7"/>'
    ),
    "print": '<path d="M6 7.5V3h8v4.5M6 14H3.5V9A1.5 1.5 0 0 1 5 7.5h10A1.5 1.5 0 0 1 16.5 9v5H14M6 11.5h8V17H6z"/>',
    "flag": '<path d="M5 17.5V3.2M5 3.9c3-1.7 5 1.7 9.8 0v7c-4.8 1.7-6.8-1.7-9.8 0"/>',
    "hour": '<path d="M5.5 3h9M5.5 17h9M6.5 3v3.2L10 10l3.5-3.8V3M6.5 17v-3.2L10 10l3.5 3.8V17"/>',
    "therm": '<path d="M8 11.2V4.5a2 2 0 1 1 4 0v6.7a3.6 3.6 0 1 1-4 0ZM10 8.4v5.4"/>',
    "up": '<path d="M10 16V4.5M5.5 9 10 4.5 14.5 9"/>',
    "down": '<path d="M10 4v11.5M5.5 11l4.5 4.5 4.5-4.5"/>',
    "right": '<path d="M4 10h12M11.5 5.5 16 10l-4.5 4.5"/>',
    "left": '<path d="M16 10H4M8.5 5.5 4 10l4.5 4.5"/>',
    "flat": '<path d="M4.5 10h11"/>',
    "chev": '<path d="M5.5 8 10 12.5 14.5 8"/>',
    "search": '<circle cx="9" cy="9" r="5.3"/><path d="m13 13 4 4"/>',
    "user": '<circle cx="10" cy="7" r="3.2"/><path d="M3.8 17c.6-3.3 3-5 6.2-5s5.6 1.7 6.2 5"/>',
    "users": (
        '<circle cx="7.5" cy="7" r="2.8"/><path d="M2.3 16.5c.5-3 2.5-4.6 5.2-4.6s4.7 1.6 5.2 4.6M13 4.5a2.8 2.8 '
        '0 0 1 0 5M14.6 12.3c1.6.6 2.7 2 3.1 4.2"/>'
    ),
    "inbox": '<path d="M3 11.5 5.3 4.5h9.4L17 11.5V16H3zM3 11.5h4l1 2h4l1-2h4"/>',
    "board": (
        '<rect x="2.8" y="3.5" width="4" height="13" rx="1.2"/><rect x="8.2" y="3.5" width="4" height="9" '
        'rx="1.2"/><rect x="13.4" y="3.5" width="4" height="6" rx="1.2"/>'
    ),
    "chart": '<path d="M3.5 3.5v13h13M6.4 12.6l3-3.6 2.6 2 4-5"/>',
    "day": (
        '<circle cx="10" cy="10" r="3.2"/><path d="M10 2.6v2M10 15.4v2M2.6 10h2M15.4 10h2M4.8 4.8l1.4 1.4M13.8 '
        '13.8l1.4 1.4M15.2 4.8l-1.4 1.4M6.2 13.8l-1.4 1.4"/>'
    ),
    "half": '<circle cx="10" cy="10" r="6.8"/><path d="M10 3.2a6.8 6.8 0 0 1 0 13.6Z" fill="currentColor"/>',
    "more": '<path d="M5 10h.01M10 10h.01M15 10h.01" stroke-width="2.6"/>',
    "plus": '<path d="M10 4.5v11M4.5 10h11"/>',
    "x": '<path d="m5.5 5.5 9 9M14.5 5.5l-9 9"/>',
    "alert": '<path d="M10 3.2 17.8 16.6H2.2ZM10 8.2v3.6M10 14.2v.01"/>',
    "info": '<circle cx="10" cy="10" r="7"/><path d="M10 9.4v4M10 6.6v.01"/>',
    "note": '<path d="M4 3.5h12V12l-4.5 4.5H4zM16 12h-4.5v4.5"/>',
    "video": '<rect x="2.5" y="5.4" width="10" height="9.2" rx="2"/><path d="m12.5 9 5-3v8l-5-3"/>',
    "redo": '<path d="M16.2 10.4a6.2 6.2 0 1 1-1.8-4.8l1.8 1.8M16.2 3.4v4h-4"/>',
    "globe": (
        '<circle cx="10" cy="10" r="7"/><path d="M3 10h14M10 3c2.4 2 3.4 4.3 3.4 7s-1 5-3.4 '
        '7c-2.4-2-3.4-4.3-3.4-7s1-5 3.4-7Z"/>'
    ),
    "lock": '<rect x="4" y="9" width="12" height="8" rx="1.8"/><path d="M6.8 9V6.4a3.2 3.2 0 0 1 6.4 0V9"/>',
    "tune": (
        '<path d="M3 6h6.5M14 6h3M3 14h2.5M10 14h7"/><circle cx="11.8" cy="6" r="2.2"/><circle cx="7.8" cy="14" '
        'r="2.2"/>'
    ),
    "box": '<path d="m3 6.8 7-3.4 7 3.4v6.8l-7 3.6-7-3.6zM3 6.8l7 3.5 7-3.5M10 10.3v6.9M6.4 5.1l7 3.5"/>',
    "code": '<path d="M3.5 5v10M6.2 5v10M8.4 5v10M11.4 5v10M13.6 5v10M16.5 5v10"/>',
    "truck": (
        '<path d="M2.5 5h9v9h-9zM11.5 8h3.2l2.8 3v3h-6"/><circle cx="6" cy="14.8" r="1.6"/><circle cx="14" '
        'cy="14.8" r="1.6"/>'
    ),
    "clip": (
        '<rect x="4.4" y="4" width="11.2" height="13" rx="1.6"/><path d="M7.4 4V2.8h5.2V4M7.4 8.6l1 1 1.6-2M12 '
        '9h1M7.4 12.8l1 1 1.6-2M12 13.2h1"/>'
    ),
    "target": '<circle cx="10" cy="10" r="7"/><circle cx="10" cy="10" r="3"/>',
    "pulse": '<path d="M2.5 10.4H6l2-5.2 3.6 9.8 2.4-4.6h3.5"/>',
    "coin": (
        '<circle cx="10" cy="10" r="7"/><path d="M12 7.4c-.5-.6-1.2-.9-2-.9-1.2 0-2.1.7-2.1 1.7 0 2.4 4.3 1.2 4.3 '
        '3.6 0 1-.9 1.7-2.2 1.7-.9 0-1.7-.4-2.2-1M10 5.4v1.1M10 13.5v1.1"/>'
    ),
    "pin": (
        '<path d="M10 17.5c3.6-4 5.4-6.9 5.4-9.1a5.4 5.4 0 0 0-10.8 0c0 2.2 1.8 5.1 5.4 9.1Z"/><circle cx="10" '
        'cy="8.3" r="1.8"/>'
    ),
    "bell": '<path d="M5.4 13.8V8.7a4.6 4.6 0 0 1 9.2 0v5.1l1.4 1.2H4zM8.4 17h3.2"/>',
    "reply": '<path d="M8 5 3.5 9.5 8 14M3.5 9.5h7.5c3.3 0 5.5 2 5.5 6"/>',
    "grip": '<path d="M7.5 5h.01M12.5 5h.01M7.5 10h.01M12.5 10h.01M7.5 15h.01M12.5 15h.01" stroke-width="2.2"/>',
    "save": '<path d="M10 3v9.5M6 8.8l4 3.9 4-3.9M4 16.5h12"/>',
    "heart": (
        '<path d="M10 16.5C5.5 13.2 3.2 10.6 3.2 7.8A3.5 3.5 0 0 1 10 6.4a3.5 3.5 0 0 1 6.8 1.4c0 2.8-2.3 5.4-6.8 '
        '8.7Z"/>'
    ),
    "list": '<path d="M7 5.5h10M7 10h10M7 14.5h10M3.5 5.5h.01M3.5 10h.01M3.5 14.5h.01"/>',
    "edit": '<path d="M4 16l.8-3.4L13.4 4a1.7 1.7 0 0 1 2.6 2.6L7.4 15.2 4 16ZM12 5.5 14.5 8"/>',
    "trash": '<path d="M4 6h12M8 6V3.8h4V6M5.5 6l.8 11h7.4l.8-11M8.6 9v5M11.4 9v5"/>',
    "key": '<circle cx="7" cy="13" r="3.4"/><path d="m9.5 10.5 7-7M13.5 6.5l2.4 2.4M11.4 8.6l1.6 1.6"/>',
    "shield": '<path d="M10 2.8 16 5v4.6c0 3.8-2.4 6.3-6 7.6-3.6-1.3-6-3.8-6-7.6V5ZM7.2 10l2 2 3.6-4"/>',
    "plug": '<path d="M7 2.8v4M13 2.8v4M5 6.8h10v2.6a5 5 0 0 1-10 0ZM10 14.4v3"/>',
    "news": '<path d="M3 4h11v12.5H4.5A1.5 1.5 0 0 1 3 15ZM14 8h3v7a1.5 1.5 0 0 1-3 0M6 7.5h5M6 10.5h5M6 13.5h3"/>',
    "skip": '<path d="M4 5v10l6-5ZM10 5v10l6-5ZM17 5v10"/>',
    "eye": '<path d="M2.5 10S5 5 10 5s7.5 5 7.5 5-2.5 5-7.5 5-7.5-5-7.5-5Z"/><circle cx="10" cy="10" r="2.3"/>',
    "upload": '<path d="M10 13V4M6 7.8 10 4l4 3.8M4 13v3.5h12V13"/>',
    "star": '<path d="m10 3 2.1 4.5 4.9.6-3.6 3.4.9 4.9L10 14l-4.3 2.4.9-4.9L3 8.1l4.9-.6Z"/>',
    "send": '<path d="M17 3 9 11M17 3l-5 14-3-6-6-3Z"/>',
    "exit": '<path d="M12 6.5V3.5H3.5v13H12v-3M8 10h9M14 7l3 3-3 3"/>',
    "external": '<path d="M11.5 3.5h5v5M16.5 3.5 9 11M14.5 12v4.5h-11v-11H8"/>',
}

_MOUTHS = {
    1: "M16 33c2.5-4.5 13.5-4.5 16 0",
    2: "M17 32c3-2.8 11-2.8 14 0",
    3: "M17 31h14",
    4: "M17 29.5c3 3.3 11 3.3 14 0",
    5: "M15.5 28c1.5 8.5 15.5 8.5 17 0Z",
}
_OPEN_EYES = '<path d="M18 20.5v1.2M30 20.5v1.2" stroke-width="3.6"/>'
_SMILING_EYES = '<path d="M15.5 21c.8-1.8 4-1.8 4.8 0M27.7 21c.8-1.8 4-1.8 4.8 0"/>'
_BROW = '<path d="m14 16.5 5 2M34 16.5l-5 2"/>'


def _drawing(kind: str, size: int, paths: str) -> Markup:
    """Our own drawings only: nothing here ever comes from a person."""
    return Markup(f'<svg class="{kind}" viewBox="0 0 {size} {size}" aria-hidden="true">{paths}</svg>')  # noqa: S704


def _face(mark: int) -> Markup:
    brow, eyes = _BROW if mark == 1 else "", _SMILING_EYES if mark == 5 else _OPEN_EYES
    return _drawing("face", 48, f'<circle cx="24" cy="24" r="19.5"/>{brow}{eyes}<path d="{_MOUTHS[mark]}"/>')


_ICONS = {name: _drawing("icon", 20, paths) for name, paths in _PATHS.items()}
_FACES = {mark: _face(mark) for mark in _MOUTHS}

NAMES = tuple(_ICONS)


def icon(name: str) -> Markup:
    """The icon as decorative SVG; the word beside it, or the label of its button, carries the meaning.

    An unknown name is a KeyError at render time, so that a typo cannot ship as an empty square.
    """
    return _ICONS[name]


def face(mark: int) -> Markup:
    """One of the five survey faces, 1 (very unhappy) to 5 (very happy), as decorative SVG."""
    return _FACES[mark]
