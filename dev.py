#!/usr/bin/env python3
"""Everything a newcomer needs, from a plain Python and nothing else: `python3 dev.py demo`, `python3 dev.py test`.
Environments lie beside this file and are made from the hashed locks; a second run finds them ready.
"""

# Must be readable by an old Python, which is only told that it is too old: no new syntax before that.
import os
import subprocess
import sys

if sys.version_info < (3, 11):
    for _newer in ("python3.14", "python3.13", "python3.12", "python3.11"):
        try:
            # Tried first: a version manager's shim is there even for a Python that is not.
            _works = subprocess.call([_newer, "-c", ""], stderr=subprocess.DEVNULL) == 0
        except OSError:
            continue
        if _works:
            os.execvp(_newer, [_newer] + sys.argv)
    sys.exit("This needs Python 3.11 or newer; here is %d.%d. Please install one." % sys.version_info[:2])

import argparse
import hashlib
import shutil
import signal
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SERVERS_OWN = {"OIDC_VENV": ("oidc", ROOT / ".venv-oidc"), "RADICALE_VENV": ("radicale", ROOT / ".venv-radicale")}
"""Servers to test against bring what the product must not see: each has an environment of its own, which its variable names."""
PYTHON = VENV / "bin" / "python"
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")
NO_TESTS_RAN = 5  # pytest's exit code


class CannotGoOn(Exception):
    """Something is missing that this program can't bring; the message says what a person can do."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo_words = commands.add_parser("demo", help="run the product with a believable company in it")
    demo_words.add_argument("--port", type=int, default=8000)
    demo_words.add_argument(
        "--data", type=Path, default=ROOT / "var" / "demo", help="where the demo keeps its database"
    )
    commands.add_parser("test", help="every check and test; further words go to pytest (paths, -k, -x …)")
    commands.add_parser("lint", help="ruff and mypy")
    commands.add_parser("lock", help="write the locks anew from pyproject.toml; needs uv")
    commands.add_parser("catalogues", help="compile the translations")
    asked, rest = parser.parse_known_args()
    if rest and asked.command != "test":
        parser.error(f"unknown words: {' '.join(rest)}")
    if os.name != "posix":
        raise CannotGoOn("this runs on Linux and macOS; on Windows use the Windows Subsystem for Linux")
    if asked.command == "demo":
        return demo(port=asked.port, data=asked.data)
    if asked.command == "test":
        return test(rest)
    if asked.command == "lock":
        return lock()
    make_environment(development=asked.command == "lint")
    if asked.command == "lint":
        return report([step(*words) for words in LINT])
    compile_catalogues()
    return 0


def demo(*, port: int, data: Path) -> int:
    make_environment(development=False)
    compile_catalogues()
    command = [PYTHON, "-m", "portal.cli", "demo", "--port", str(port), "--data", data.resolve()]
    sys.stdout.flush()
    os.execv(PYTHON, [str(word) for word in command])  # in our place, so that Ctrl-C is its alone


# Tests

LINT = [
    ("ruff check", "ruff", "check", "."),
    ("ruff format", "ruff", "format", "--check", "."),
    ("mypy", "mypy", "--strict", "portal"),
]


def test(words: list[str]) -> int:
    make_environment(development=True)
    make_servers_environments()
    compile_catalogues()
    browser, server = find_browser(), find_postgresql()
    done = [browser, server, find_imap_server()]
    done += [step(*lint) for lint in LINT]
    options, plain, in_browser = divided(words)
    chosen = bool(words)
    # Whole runs use every core; a chosen test is there sooner without the others' start.
    on_every_core = [] if chosen else ["-n", str(os.cpu_count() or 1)]
    if plain is not None:
        spread = [*on_every_core, "--dist", "worksteal"] if on_every_core else []
        chosen_words = ["-q", "--ignore=tests/e2e", *spread, *options, *plain]
        done.append(step("pytest", "pytest", *chosen_words, may_be_empty=chosen))
    if in_browser is not None and browser.passed:
        # Another process: Playwright leaves an event loop running in the one it was used in.
        # File by file: tests of one file share a demo that takes long to fill.
        spread = [*on_every_core, "--dist", "loadfile"] if on_every_core else []
        done.append(step("pytest, in a browser", "pytest", "-q", *spread, *options, *in_browser, may_be_empty=chosen))
    return report(done)


def divided(words: list[str]) -> tuple[list[str], list[str] | None, list[str] | None]:
    """pytest's words as options, paths without a browser and paths in one; None where the paths leave nothing to run."""
    paths = {word: (ROOT / word.split("::")[0]).resolve() for word in words if not word.startswith("-")}
    paths = {word: path for word, path in paths.items() if path.exists()}
    options = [word for word in words if word not in paths]
    if not paths:
        return options, ["tests"], ["tests/e2e"]
    e2e = ROOT / "tests" / "e2e"
    in_browser = [word for word, path in paths.items() if path == e2e or e2e in path.parents]
    plain = [word for word in paths if word not in in_browser]
    if any(path in e2e.parents for path in paths.values()):
        in_browser = ["tests/e2e"]
    return options, plain or None, in_browser or None


class Step:
    """One check: its name, how it went, and how many seconds it took."""

    def __init__(self, name: str, *, passed: bool, seconds: float, remark: str = "", skipped: bool = False) -> None:
        self.name = name
        self.passed = passed
        self.seconds = seconds
        self.remark = remark
        self.skipped = skipped


def step(name: str, module: str, *words: str, may_be_empty: bool = False) -> Step:
    print(f"\n== {name}: {module} {' '.join(words)}", flush=True)
    began = time.monotonic()
    process = subprocess.Popen([PYTHON, "-m", module, *words], cwd=ROOT)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.wait()  # the terminal told it as well; it still has servers to put away
        raise
    except SystemExit:
        process.send_signal(signal.SIGINT)  # the signal on which pytest tidies up
        process.wait()
        raise
    if code == NO_TESTS_RAN and may_be_empty:
        return Step(
            name, passed=True, seconds=time.monotonic() - began, remark="none of the chosen tests", skipped=True
        )
    remark = "" if code == 0 else f"exit code {code}"
    return Step(name, passed=code == 0, seconds=time.monotonic() - began, remark=remark)


def report(done: list[Step]) -> int:
    """The summary; 0 if everything passed. What is missing counts as failed in CI, and is skipped on a desk."""
    print("\n" + "=" * 72)
    for one in done:
        word = "ok" if one.passed else "skipped" if one.skipped else "FAILED"
        print(f"{word:8} {one.name:22} {one.seconds:6.1f} s  {one.remark}".rstrip())
    failed = [one.name for one in done if not one.passed and not one.skipped]
    left_out = [one.name for one in done if one.skipped and not one.passed]
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    elif left_out:
        print(f"passed, but not everything ran: {', '.join(left_out)}")
    else:
        print("everything passed")
    sys.stdout.flush()
    return 1 if failed else 0


def find_browser() -> Step:
    """A browser, brought if need be: an installed one, Playwright's download, or the distribution's package."""
    began = time.monotonic()
    found = ask_for("chromium")
    if found.returncode and not os.environ.get("CHROMIUM_PATH"):
        run(PYTHON, "-m", "playwright", "install", "chromium", check=False)
        found = ask_for("chromium")
        if found.returncode and apt_get("chromium"):
            found = ask_for("chromium")
    path = found.stdout.strip()
    if found.returncode == 0:
        os.environ["CHROMIUM_PATH"] = path
    return part("browser", found, began)


def find_postgresql() -> Step:
    """PostgreSQL, brought if need be: TEST_PG_URL, the wheel in the development lock, or an installed server."""
    began = time.monotonic()
    found = ask_for("postgresql")
    if found.returncode and not os.environ.get("TEST_PG_URL") and apt_get("postgresql"):
        found = ask_for("postgresql")
    return part("PostgreSQL", found, began)


def find_imap_server() -> Step:
    """An IMAP server, brought if need be: Dovecot from the distribution."""
    began = time.monotonic()
    found = ask_for("dovecot")
    if found.returncode and not os.environ.get("DOVECOT_PATH") and apt_get("dovecot-imapd"):
        found = ask_for("dovecot")
    return part("IMAP server", found, began)


def part(name: str, found: "subprocess.CompletedProcess[str]", began: float) -> Step:
    passed = found.returncode == 0
    remark = (found.stdout if passed else found.stderr).strip()
    return Step(name, passed=passed, seconds=time.monotonic() - began, remark=remark, skipped=not passed and not IN_CI)


def ask_for(name: str) -> "subprocess.CompletedProcess[str]":
    command = [PYTHON, "-m", "tests.servers", name]
    return subprocess.run(command, cwd=ROOT, check=False, text=True, capture_output=True)


# Environments


def make_environment(*, development: bool) -> None:
    """`.venv` with exactly what the locks say, and this project in it, editable."""
    locks = [ROOT / "requirements.txt"] + [ROOT / "requirements-dev.txt"] * development
    install(VENV, locks)
    project = stamp_of(ROOT / "pyproject.toml", ROOT / "hatch_build.py", ROOT / "README.md", kind="project")
    if not (VENV / project).exists():
        run(PYTHON, "-m", "pip", "install", "-q", "--no-deps", "-e", ".")
        run(PYTHON, "-m", "pip", "check", "-q")
        stamp(VENV, project)


def make_servers_environments() -> None:
    """`.venv-oidc` with the sign-in provider, `.venv-radicale` with the calendar server; the tests are told where."""
    for variable, (name, venv) in SERVERS_OWN.items():
        install(venv, [ROOT / f"requirements-{name}.txt"])
        os.environ[variable] = str(venv)


def install(venv: Path, locks: list[Path]) -> None:
    stamps = {lock: stamp_of(lock, kind=lock.stem) for lock in locks}
    older = [mark for lock in locks for mark in venv.glob(f".{lock.stem}.*") if mark.name != stamps[lock]]
    if older or not usable(venv):
        # From nothing, because installing over the old lock would keep what the new one dropped.
        make_venv(venv)
    for lock, mark in stamps.items():
        if not (venv / mark).exists():
            print(f"installing {lock.name} …", flush=True)
            run(venv / "bin" / "python", "-m", "pip", "install", "-q", "--require-hashes", "-r", lock)
            stamp(venv, mark)


def stamp_of(*files: Path, kind: str) -> str:
    content = b"".join(file.read_bytes() for file in files) + sys.version.encode()
    return f".{kind}.{hashlib.sha256(content).hexdigest()[:16]}"


def stamp(venv: Path, mark: str) -> None:
    for old in venv.glob(mark.rsplit(".", 1)[0] + ".*"):
        old.unlink()
    (venv / mark).touch()


def usable(venv: Path) -> bool:
    """Whether the environment is whole and of this Python: not after an interrupted start, a move or an upgrade."""
    python = venv / "bin" / "python"
    if not python.exists():
        return False
    ask = [python, "-c", "import pip, sys; print(sys.prefix, sys.version)"]
    answer = subprocess.run(ask, check=False, text=True, capture_output=True)
    return answer.returncode == 0 and answer.stdout.strip() == f"{venv} {sys.version}"


def make_venv(venv: Path) -> None:
    print(f"making {venv.name} …", flush=True)
    try:
        import ensurepip  # noqa: F401 - Debian and Ubuntu package it apart, and a venv without pip is no use
    except ImportError:
        package = f"python3.{sys.version_info[1]}-venv"
        if not apt_get(package):
            raise CannotGoOn(
                f"Python's venv module is not complete here. Please run: sudo apt-get install {package}"
            ) from None
    run(sys.executable, "-m", "venv", "--clear", venv)


def apt_get(package: str) -> bool:
    """Install a package of the distribution where we may; what is there stays as it is. Gives whether it went well."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    run("apt-get", "update", "-q", check=False)
    return run("apt-get", "install", "-y", "-q", "--no-upgrade", package, check=False) == 0


def compile_catalogues() -> None:
    compile_them = "from portal import catalogues, places; catalogues.compile_catalogues(places.LOCALE)"
    run(PYTHON, "-c", compile_them, show=False)


def lock() -> int:
    """The locks from pyproject.toml. Only hashes go into them, no address: they install from wherever pip is told."""
    uv = shutil.which("uv")
    if not uv:
        raise CannotGoOn("writing the locks needs uv: pipx install uv")
    run(uv, "lock", "--upgrade")
    groups = {
        "": ["--no-dev"],
        "-dev": ["--only-dev"],
        "-oidc": ["--only-group", "oidc"],
        "-radicale": ["--only-group", "radicale"],
    }
    for suffix, which in groups.items():
        file = f"requirements{suffix}.txt"
        common = ["--frozen", "--format", "requirements.txt", "--no-emit-project", "--no-header", "-q"]
        run(uv, "export", *common, *which, "-o", file, show=False)
    return 0


def run(*command: object, check: bool = True, show: bool = True) -> int:
    words = [str(word) for word in command]
    if show:
        print("+", " ".join(words), flush=True)
    # pip's PIP_USER and a foreign PYTHONPATH would put packages elsewhere, or bring others in.
    clean = {name: value for name, value in os.environ.items() if name not in ("PIP_USER", "PIP_TARGET", "PYTHONPATH")}
    output = None if show else subprocess.DEVNULL
    code = subprocess.run(words, cwd=ROOT, env=clean, check=False, stdout=output).returncode
    if check and code:
        raise CannotGoOn(f"this failed with exit code {code}: {' '.join(words)}")
    return code


if __name__ == "__main__":
    # As an exception, so that a terminated run takes its tests down with it instead of leaving them behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except CannotGoOn as reason:
        sys.exit(f"dev.py: {reason}")
    except KeyboardInterrupt:
        sys.exit(130)
