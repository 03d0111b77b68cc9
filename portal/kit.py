"""The design kit in a template environment: icons, charts and every macro of templates/_shared as one name, `ui`.

With `ui` installed as a global, a page needs no imports, and neither does a block of it that is rendered alone.
"""

from types import SimpleNamespace

from jinja2 import Environment

from portal import charts, icons

PARTS = ("brand", "ui", "forms", "journey", "booking", "pipeline", "record", "figures", "demo")

_DRAWINGS = {
    "icon": icons.icon,
    "glyph": icons.icon,  # the same for macros that have a parameter called icon
    "face": icons.face,
    "climb": charts.climb,
    "hill": charts.hill,
    "thermo": charts.thermo,
    "ring": charts.ring,
    "spark": charts.spark,
    "stage_bar": charts.stage_bar,
    "days_bar": charts.days_bar,
    "bar": charts.bar,
    "whisker": charts.whisker,
}


def install(environment: Environment) -> None:
    """Give `environment` the drawings and `ui`. It must already have its gettext and the global `static`."""
    environment.globals.update(_DRAWINGS)
    macros: dict[str, object] = {}
    for part in PARTS:
        module = environment.get_template(f"_shared/{part}.html").module
        for name in dir(module):
            if name.startswith("_"):
                continue
            if name in macros:
                raise ValueError(f"two macros of the kit are called {name}")
            macros[name] = getattr(module, name)
    environment.globals["ui"] = SimpleNamespace(**macros)
