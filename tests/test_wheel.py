"""The wheel is the whole product: what a checkout has beside the package, it carries inside, and it runs from anywhere."""

import http.client
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import servers

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    # No isolation: the build backend is in the development lock, so the test needs no network.
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out), str(ROOT)]
    subprocess.run(build, check=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(folder),
        str(wheel),
    ]
    subprocess.run(install, check=True)
    return folder


def portal(installed: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python with the installed wheel first on its path, from a folder that has nothing to do with the checkout."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=_only(installed), capture_output=True, text=True)


def _only(installed: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "PYTHON"))}
    return {**clean, "PYTHONPATH": str(installed)}


@contextmanager
def serving(installed: Path, *, folder: Path) -> Iterator[http.client.HTTPConnection]:
    """The installed command's own server, and a connection to it."""
    port = servers.free_port()
    command = [installed / "bin" / "portal", "serve", "--port", str(port)]
    log = folder.parent / "serve.log"
    with log.open("w") as said:
        server = subprocess.Popen(command, cwd=folder, env=_only(installed), stdout=said, stderr=said)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            while not _listens(connection):
                assert server.poll() is None, log.read_text()
            yield connection
        finally:
            connection.close()
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=60) == 0


def _listens(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.connect()
    except ConnectionRefusedError:
        return False
    return True


def ask(connection: http.client.HTTPConnection, path: str, **headers: str) -> tuple[int, str]:
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def files_under(folder: Path, *, suffix: str = "") -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob(f"*{suffix}")
        if path.is_file() and "__pycache__" not in path.parts
    )


@pytest.mark.parametrize("name", ["templates", "static", "migrations"])
def test_the_wheel_carries_every_template_static_file_and_migration(installed: Path, name: str) -> None:
    carried = files_under(installed / "portal" / name)
    assert carried == files_under(ROOT / name)
    assert carried != []


def test_the_wheel_carries_the_package_and_its_licence_and_nothing_else_at_the_top(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"portal", "onward-0.1.0.dist-info"}
    assert "onward-0.1.0.dist-info/licenses/LICENSE" in names


def test_the_wheel_carries_each_languages_compiled_catalogue(installed: Path) -> None:
    languages = {path.parent.name for path in (ROOT / "portal" / "locale").glob("*/*.po")}
    carried = files_under(installed / "portal" / "locale", suffix="o")  # .po and .mo
    assert carried == sorted(f"{language}/LC_MESSAGES/messages.mo" for language in languages)
    assert "pt_BR" in languages


def test_an_installed_wheel_looks_for_its_files_inside_itself(installed: Path, tmp_path: Path) -> None:
    ask = "from portal import places as p; print(p.PACKAGE, p.TEMPLATES, p.STATIC, p.MIGRATIONS, p.LOCALE, sep='\\n')"
    answer = portal(installed, "-c", ask, folder=tmp_path)
    inside = installed / "portal"
    expected = [inside, inside / "templates", inside / "static", inside / "migrations", inside / "locale"]
    assert answer.stdout.splitlines() == [str(path) for path in expected]


def test_the_command_runs_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    answer = portal(installed, "-m", "portal.cli", "--help", folder=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "usage:" in answer.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_installed_wheel_migrates_and_serves_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    """Migrations, templates, compiled translations and static files are all found inside the wheel."""
    folder = tmp_path / "somewhere"
    folder.mkdir()
    migrated = portal(installed, str(installed / "bin" / "portal"), "migrate", folder=folder)
    assert (migrated.returncode, migrated.stderr) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == ["var"]
    with serving(installed, folder=folder) as connection:
        assert ask(connection, "/healthz") == (200, "ok\n")
        status, english = ask(connection, "/sign-in")
        assert (status, '<html lang="en"' in english) == (200, True)
        status, portuguese = ask(connection, "/sign-in", Accept_Language="pt-BR,pt;q=0.9,en;q=0.5")
        assert (status, '<html lang="pt-BR"' in portuguese) == (200, True)
        assert ("Ir para o conteúdo" in portuguese, "Skip to content" in portuguese) == (True, False)
        (style,) = re.findall(r'<link rel="stylesheet" href="([^"]+)">', english)
        assert ask(connection, style) == (200, (ROOT / "static" / "customer.css").read_text())
