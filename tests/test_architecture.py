"""Who may import whom, and what may stand where: read from the source, so that a shortcut is seen the day it is taken."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from portal.db import Base
from portal.places import MIGRATIONS, PACKAGE, TEMPLATES
from portal.tables import TABLES


class Layer(NamedTuple):
    """What stands at one height, in groups. A module imports what stands lower, and its own group; never another group
    of its height."""

    name: str
    groups: tuple[frozenset[str], ...]


def together(*names: str) -> tuple[frozenset[str], ...]:
    return (frozenset(names),)


def strangers(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset({name}) for name in names)


LAYERS = (
    Layer("the command", together("cli")),
    Layer("the application", together("app")),
    Layer("pages and calls", together("routes")),
    # The demo lives through its past with a worker of its own, and its pages move its clock the same way.
    Layer(
        "what serves the web, and what puts rooms together without it",
        (
            frozenset({"deps", "front_door", "web", "forms"}),
            frozenset(
                {
                    "worker",
                    "demo",
                    "demo_day",
                    "demo_lessons",
                    "demo_people",
                    "shipped",
                    "tables",
                    "findable",
                    "erasing",
                }
            ),
        ),
    ),
    Layer("rooms", strangers("surveys", "meetings", "learning", "messages", "referrals", "insights")),
    Layer("the conductor", together("journeys")),
    Layer(
        "people, mail and what happened",
        together("accounts", "auth", "policy", "audit", "mail", "delivery", "idempotency", "media", "search"),
    ),
    Layer(
        "the ground",
        together(
            *("boundary", "catalogues", "charts", "clock", "closed_sets", "copies", "db", "errors", "house", "icons"),
            *("instants", "kit", "links", "logs", "outbound", "pipelines", "places"),
            *(
                "reply_addresses",
                "settings",
                "statements",
                "strict_json",
                "styles",
                "templating",
                "text",
                "threads",
                "turns",
                "vault",
                "words",
            ),
        ),
    ),
)
"""From the top to the bottom; `portal` itself (its version) is below everything."""

SPEAKS_HTTP = frozenset({"cli", "app", "routes", "deps", "front_door", "web", "forms"})
"""Who may know that there is HTTP: what customers do is the same from a page, a call, a worker or a shell."""

KINDS = {
    "rules.py": frozenset({"clock", "errors", "rules"}),
    "models.py": frozenset({"db", "rules"}),
}
"""What files of one name may import of ours, by the last part of the module's name, whichever room they are in."""


class Import(NamedTuple):
    """A module that a file imports; `inside` is the function it happens in, if it does."""

    module: str
    line: int
    inside: str


@cache
def sources() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("portal", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(source: ast.AST) -> Iterator[Import]:
    """All imports, with `from portal.journeys import rules` as the module `portal.journeys.rules`."""
    waiting: list[tuple[ast.AST, str]] = [(source, "")]
    while waiting:
        node, inside = waiting.pop()
        match node:
            case ast.Import(names=names):
                for name in names:
                    yield Import(name.name, node.lineno, inside)
            case ast.ImportFrom(module=module, names=names, level=level):
                assert level == 0, f"a relative import, line {node.lineno}: say the whole name"
                for name in names:
                    whole = f"{module}.{name.name}"
                    yield Import(whole if whole in sources() else str(module), node.lineno, inside)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                inside = name
        waiting += [(child, inside) for child in ast.iter_child_nodes(node)]


def ours(module: str) -> bool:
    return module.split(".")[0] == "portal"


def member(module: str) -> str:
    """The module or room at the top level of the package: `journeys` of `portal.journeys.rules`; empty for `portal`."""
    return [*module.split("."), ""][1]


def standing(name: str) -> tuple[int, frozenset[str]]:
    """How far from the top a member stands, and its group there."""
    return next((n, group) for n, layer in enumerate(LAYERS) for group in layer.groups if name in group)


def may_import(importer: str, imported: str) -> bool:
    """Whether one member of the package may import another."""
    if not imported:
        return True
    (above, own), (below, _) = standing(importer), standing(imported)
    return above < below or imported in own


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(PACKAGE.parent)}:{line}"


# Imports


def test_everything_of_ours_stands_in_one_layer() -> None:
    members = [name for layer in LAYERS for group in layer.groups for name in group]
    assert len(members) == len(set(members))
    assert {member(module) for module in sources()} - {""} - set(members) == set()


def test_imports_go_only_downwards() -> None:
    upwards = [
        f"{where(path, found.line)} imports {found.module}"
        for module, path in sources().items()
        for found in imports(tree(path))
        if ours(found.module) and member(module) and not may_import(member(module), member(found.module))
    ]
    assert upwards == []


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("routes", "surveys", True),
        ("surveys", "journeys", True),
        ("journeys", "journeys", True),
        ("auth", "mail", True),
        ("journeys", "surveys", False),
        ("surveys", "meetings", False),
        ("worker", "routes", False),
        ("worker", "web", False),
        ("deps", "worker", False),
        ("routes", "worker", True),
        ("deps", "routes", False),
        ("accounts", "web", False),
        ("db", "accounts", False),
    ],
)
def test_the_table_means_what_it_says(importer: str, imported: str, allowed: bool) -> None:
    assert may_import(importer, imported) is allowed


def test_only_the_application_puts_routes_together() -> None:
    importers = {
        member(module)
        for module, path in sources().items()
        for found in imports(tree(path))
        if member(found.module) == "routes"
    }
    assert importers == {"app", "routes"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    needs = {
        module: {found.module for found in imports(tree(path)) if ours(found.module) and not found.inside}
        for module, path in sources().items()
    }
    while free := {module for module, needed in needs.items() if not needed & needs.keys()}:
        needs = {module: needed for module, needed in needs.items() if module not in free}
    assert sorted(needs) == []


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_one_name_import_of_ours_only(kind: str) -> None:
    wrong = [
        f"{where(path, found.line)} imports {found.module}"
        for path in sources().values()
        if path.name == kind
        for found in imports(tree(path))
        if ours(found.module) and found.module.split(".")[-1] not in KINDS[kind]
    ]
    assert wrong == []


def test_rules_know_no_library() -> None:
    foreign = [
        f"{where(path, found.line)} imports {found.module}"
        for path in sources().values()
        if path.name == "rules.py"
        for found in imports(tree(path))
        if not ours(found.module) and found.module.split(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []


def test_pages_never_call_upon_actions_from_queries() -> None:
    """A query that could write would make every page suspect."""
    writing = [
        f"{where(path, found.line)} imports {found.module}"
        for path in sources().values()
        if path.name == "queries.py"
        for found in imports(tree(path))
        if ours(found.module) and found.module.split(".")[-1] in ("actions", "cases", "conduct", "storing")
    ]
    assert writing == []


def test_http_is_known_only_at_the_top() -> None:
    knowing = {
        f"{where(path, found.line)} imports {found.module}"
        for module, path in sources().items()
        if member(module) not in SPEAKS_HTTP
        for found in imports(tree(path))
        if found.module.split(".")[0] in ("fastapi", "starlette", "uvicorn")
    }
    assert knowing == set()


def test_nothing_is_imported_inside_a_function_but_in_commands() -> None:
    hidden = [
        f"{where(path, found.line)} in {found.inside}()"
        for module, path in sources().items()
        if module != "portal.cli"
        for found in imports(tree(path))
        if found.inside
    ]
    assert hidden == []


# What stands where


def asks_the_machine_for_the_time(node: ast.AST) -> bool:
    """`datetime.now`, `date.today`, `time.time` …, called or handed on; a stopwatch (`perf_counter`, `monotonic`) isn't."""
    match node:
        case ast.Attribute(value=ast.Name(id="datetime" | "date") | ast.Attribute(), attr="now" | "utcnow" | "today"):
            return not (isinstance(node.value, ast.Attribute) and node.value.attr not in ("datetime", "date"))
        case ast.Attribute(value=ast.Name(id="time"), attr="time" | "time_ns" | "localtime" | "gmtime"):
            return True
    return False


def swallows_everything(node: ast.AST) -> bool:
    """An `except` of everything which doesn't hand it on."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    caught = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else {"Exception"}
    last = node.body[-1]
    return bool(caught & {"Exception", "BaseException"}) and not (isinstance(last, ast.Raise) and last.exc is None)


def commits(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"


@pytest.mark.parametrize(
    ("sign", "places"),
    [
        (asks_the_machine_for_the_time, {"clock.py"}),
        (swallows_everything, {"boundary.py", "turns.py"}),  # the latter hands it to whoever waits in another thread
        (commits, {"db.py"}),
    ],
)
def test_only_one_place(sign: object, places: set[str]) -> None:
    assert callable(sign)
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in sources().values()
        for node in ast.walk(tree(path))
        if sign(node)
    }
    assert found == places


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("datetime.now(UTC)", True),
        ("datetime.datetime.utcnow()", True),
        ("field(default_factory=date.today)", True),
        ("time.time()", True),
        ("clock.now()", False),
        ("self.house.clock.now()", False),
        ("perf_counter()", False),
    ],
)
def test_the_look_for_clocks_sees_them_and_only_them(code: str, seen: bool) -> None:
    assert any(asks_the_machine_for_the_time(node) for node in ast.walk(ast.parse(code))) is seen


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("except Exception: pass", True),
        ("except (ValueError, BaseException) as e: log(e)", True),
        ("except: pass", True),
        ("except BaseException: undo(); raise", False),
        ("except ValueError: pass", False),
    ],
)
def test_the_look_for_swallowed_errors_sees_them_and_only_them(code: str, seen: bool) -> None:
    assert any(swallows_everything(node) for node in ast.walk(ast.parse(f"try: work()\n{code}"))) is seen


def test_every_table_is_known_to_those_who_need_them_all() -> None:
    """A room whose models nobody imports into `portal.tables` would have no migration."""

    def tables(module: ast.Module) -> list[str]:
        return [
            str(value.value)
            for node in ast.walk(module)
            if isinstance(node, ast.Assign) and isinstance(value := node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id == "__tablename__"
        ]

    holders = {module for module, path in sources().items() if tables(tree(path))}
    known = {found.module for found in imports(tree(sources()["portal.tables"]))}
    assert holders - known == {"portal.db"}
    assert TABLES
    named = sorted(name for path in sources().values() for name in tables(tree(path)))
    assert named == sorted(Base.metadata.tables)


def test_no_text_of_people_is_called_safe() -> None:
    marked = [
        where(path, line)
        for path in sorted(TEMPLATES.rglob("*"))
        if path.is_file()
        for line, words in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "|safe" in words.replace(" ", "") or "{%autoescape" in words.replace(" ", "")
    ]
    assert marked == []


def test_migrations_lean_on_no_code_of_today() -> None:
    leaning = [
        f"{path.name}: {found.module}"
        for path in sorted((MIGRATIONS / "versions").glob("*.py"))
        for found in imports(tree(path))
        # How a CHECK is changed was written for migrations, and knows nothing of any model.
        if ours(found.module) and found.module != "portal.closed_sets"
    ]
    assert leaning == []
