"""Builds the style sheets that pages link to out of the layers in static/css: `python -m portal.styles`.

Customers get customer.css, staff get staff.css, each one request and at most 40 kB; a few pages of the set-up add admin.css. A test holds them to their sources.
"""

import re
from pathlib import Path

from portal.places import STATIC
from portal.templating import static

_COMMON = ("tokens", "base", "layout", "components")
SHEETS = {
    "customer.css": (*_COMMON, "customer", "print"),
    "staff.css": (*_COMMON, "staff", "print"),
    # Beside staff.css, for a few pages of the set-up: those rules would push it over its limit.
    "admin.css": ("admin",),
}


def bundle(folder: Path, layers: tuple[str, ...]) -> str:
    """The layers one after another, without comments and needless space; which layer wins is set in tokens.css.

    Fonts get the same address as `static()` gives in a page, so that a preloaded one is not fetched twice.
    """
    text = "\n".join((folder / f"{layer}.css").read_text(encoding="utf-8") for layer in layers)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"url\((fonts/[^)]+)\)", lambda font: f"url({static(font[1])})", text)
    text = re.sub(r"\s+", " ", text)
    return re.sub(r" ?([{};,]) ?", r"\1", text).replace(";}", "}").strip() + "\n"


def main() -> None:
    for name, layers in SHEETS.items():
        (STATIC / name).write_text(bundle(STATIC / "css", layers), encoding="utf-8")


if __name__ == "__main__":
    main()
