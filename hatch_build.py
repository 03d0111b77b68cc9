"""What the wheel needs beyond the package: compiled catalogues, templates, static files and migrations.
`portal/places.py` finds them again after the installation.
"""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CARRIED = ("templates", "static", "migrations")


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        for compiled in _catalogues(root).compile_catalogues(root / "portal" / "locale"):
            # Named one by one: git ignores them, and hatchling would too.
            build_data["artifacts"].append("/" + compiled.relative_to(root).as_posix())
        if version == "editable":
            return  # an editable installation finds the folders where they are
        for name in CARRIED:
            if not (root / name).is_dir():
                raise FileNotFoundError(f"the wheel carries {name}/, which is not here")
            build_data["force_include"][str(root / name)] = f"portal/{name}"


def _catalogues(root: Path) -> Any:
    # Loaded by path: the build environment holds Babel, but neither this project nor its other dependencies.
    spec = importlib.util.spec_from_file_location("catalogues", root / "portal" / "catalogues.py")
    assert spec and spec.loader  # noqa: S101 - a file beside this one
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
