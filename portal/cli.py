"""The `portal` command: everything that is done from a shell. Each command imports what it needs itself, so that `--help`
costs nothing.

Exit codes: 0 done, 1 refused or impossible (the message says what to do), 2 wrong usage or settings.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

    from portal.house import House
    from portal.journeys.import_models import DealImport
    from portal.settings import Settings

OK, REFUSED, WRONG = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    given = _parser().parse_args(arguments)
    from sqlalchemy.exc import DBAPIError

    from portal.errors import Refused
    from portal.settings import UnsafeSettings

    try:
        code: int = given.command(given)
        return code
    except UnsafeSettings as unsafe:
        return _say(f"Settings: {unsafe}", WRONG)
    except Refused as refused:
        return _say(str(refused), REFUSED)
    except DBAPIError as error:
        return _say(f"The database says: {error.orig}\nIs it running, and migrated? Try: portal check", REFUSED)
    except (OSError, TimeoutError) as error:
        return _say(str(error), REFUSED)
    except KeyboardInterrupt:
        return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="portal", description="Onward, the portal for the time after the sale.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words)
        made.set_defaults(command=run)
        return made

    command("migrate", migrate, "Bring the database to this version's tables.")

    one = command("serve", serve, "Answer people's browsers.")
    one.add_argument("--port", type=int, default=8000)
    one.add_argument(
        "--host", default="127.0.0.1", help="default: %(default)s; 0.0.0.0 for all of this machine's addresses"
    )

    command("worker", worker, "Do what falls due, and send mail, until stopped. Any number may run.")

    one = command("lmtp", lmtp, "Take answers to our mails from the mail server, over LMTP, until stopped.")
    one.add_argument("--host", default="127.0.0.1", help="where to listen (default: only this machine)")
    one.add_argument("--port", type=int, required=True, help="0: a free one, which is printed")

    one = command("work", work, "Demo only: live through the time up to a moment, and return.")
    one.add_argument("--until", required=True, type=_moment, metavar="TIME", help="2026-08-01, or 2026-08-01T09:30:00Z")

    one = command("demo", demo, "A company to try out: everything set up, web and worker in one.")
    one.add_argument("--port", type=int, default=8000)
    one.add_argument("--data", type=Path, default=Path("var/demo"), metavar="DIR", help="default: %(default)s")

    one = command("import", import_deals, "Take in a file of won deals.")
    one.add_argument("file", type=Path, metavar="FILE", help="CSV, as a CRM exports it")
    one.add_argument("--yes", action="store_true", help="also if more people get a mail than PORTAL_STORM_LIMIT")
    one.add_argument("--dry-run", action="store_true", help="only say what would become of each line")

    token = command("token", lambda _given: WRONG, "Tokens for the API.").add_subparsers(required=True, metavar="WHAT")
    one = token.add_parser("create", help="Print a new token, once.")
    one.set_defaults(command=token_create)
    one.add_argument("name", metavar="NAME")
    one.add_argument("--scope", required=True, choices=["read", "write"])
    token.add_parser("list", help="Which there are, and when each was last used.").set_defaults(command=token_list)
    one = token.add_parser("revoke", help="End a token at once.")
    one.set_defaults(command=token_revoke)
    one.add_argument("name", metavar="NAME")

    staff = command("staff", lambda _given: WRONG, "People of the company.").add_subparsers(
        required=True, metavar="WHAT"
    )
    one = staff.add_parser("add", help="Add a person, who can then sign in.")
    one.set_defaults(command=staff_add)
    one.add_argument("email", metavar="EMAIL")
    one.add_argument("--name", required=True)
    one.add_argument("--role", required=True, choices=["consultant", "manager", "administrator"])
    one.add_argument("--language", choices=["en", "pt-BR"], help="default: PORTAL_DEFAULT_LANGUAGE")
    one.add_argument("--timezone", help="such as America/Sao_Paulo; default: PORTAL_DEFAULT_TIMEZONE")

    command("reindex", reindex, "Fill the search index anew from what there is.")

    command("check", check, "Whether settings, database and mail server are fit to run.")

    one = command("backup", backup, "Write a consistent copy of the database to a file, while it is in use.")
    one.add_argument("file", type=Path, metavar="FILE")
    one = command("restore", restore, "Put a backup in the place of the database.")
    one.add_argument("file", type=Path, metavar="FILE")
    return parser


def _moment(text: str) -> datetime:
    """An instant from the command line: a date (its start), or a date and time; without a zone it is UTC."""
    from datetime import UTC

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a time: {text!r}; write 2026-08-01 or 2026-08-01T09:30:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _say(words: str, code: int) -> int:
    print(words, file=sys.stderr)
    return code


def _house() -> "House":
    from portal.house import House
    from portal.settings import read_settings

    house = House.open(read_settings(os.environ))
    if house.settings.demo:
        from portal.demo import must_be_the_demos

        must_be_the_demos(house)
    return house


# Running


def migrate(_given: argparse.Namespace) -> int:
    from portal.db import migrate as bring_up
    from portal.house import House
    from portal.settings import read_settings
    from portal.shipped import load_all

    settings = read_settings(os.environ)
    bring_up(settings.database_url)
    house = House.open(settings)
    with house.database.write() as db:
        load_all(db, now=house.clock.now())
    house.database.close()
    print("The database is up to date.")
    return OK


def serve(given: argparse.Namespace) -> int:
    from portal.app import create_app
    from portal.logs import start_logging
    from portal.settings import read_settings

    start_logging()
    settings = read_settings(os.environ)
    return _answer(create_app(settings), settings, host=given.host, port=given.port)


def _answer(app: "FastAPI", settings: "Settings", *, host: str, port: int) -> int:
    """Serves until told to stop, and then finishes what was asked."""
    import signal
    import socket

    import uvicorn

    from portal.app import spare_what_is_loaded

    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as taken:
        return _say(
            f"Can't listen on {host}:{port} ({taken.strerror}). Is it running already? Try another --port.", REFUSED
        )
    # The server says the signal again once it has ended; by then there is nothing left to interrupt.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        app,
        # Named: where one is missing, starting fails rather than running at a third of the speed.
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
        timeout_graceful_shutdown=20,
    )
    spare_what_is_loaded()
    uvicorn.Server(config).run(sockets=[listening])
    return OK


def _is_free(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def demo(given: argparse.Namespace) -> int:
    import logging
    import threading

    from portal.app import create_app
    from portal.db import migrate as bring_up
    from portal.demo import prepare
    from portal.demo_people import VENDOR
    from portal.house import House
    from portal.logs import start_logging
    from portal.settings import read_settings
    from portal.worker import TIMETABLE, Worker

    start_logging(logging.WARNING)
    settings = read_settings(
        {
            "PORTAL_BASE_URL": f"http://localhost:{given.port}",
            "PORTAL_VENDOR_NAME": VENDOR,
            **os.environ,
            "PORTAL_DEMO": "1",
            "PORTAL_DATA_DIR": str(given.data),
        }
    )
    if not _is_free(given.port):
        return _say(f"Can't listen on port {given.port}. Is it running already? Try another --port.", REFUSED)
    first = not (given.data / "onward.sqlite").exists()
    given.data.mkdir(parents=True, exist_ok=True)
    bring_up(settings.database_url)
    house = House.open(settings)
    if first:
        print("Filling the demo with customers. The first time takes half a minute …", flush=True)
    prepare(house)
    one = Worker(house, TIMETABLE)
    beside = threading.Thread(target=one.run, name="worker")
    beside.start()
    print(
        f"""
  Onward is at {settings.base_url}

  Click "Customer", "Consultant", "Manager" or "Administrator" in the bar on top to look at it as that person;
  "+1 day", "+7 days" and "Next event" move the demo's clock; the mailbox shows every mail, and its links work.
  Ctrl-C ends it. Its data stays in {given.data}.
""",
        flush=True,
    )
    try:
        return _answer(create_app(settings), settings, host="127.0.0.1", port=given.port)
    finally:
        one.stop()
        beside.join()
        house.database.close()


def worker(_given: argparse.Namespace) -> int:
    import signal

    from portal.logs import start_logging
    from portal.worker import TIMETABLE, Worker

    start_logging()
    house = _house()
    one = Worker(house, TIMETABLE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: one.stop())
    print("The worker runs. Ctrl-C stops it after the row in hand.", flush=True)
    one.run()
    house.database.close()
    return OK


def lmtp(given: argparse.Namespace) -> int:
    import logging
    import signal
    import threading

    from portal.logs import start_logging
    from portal.messages.lmtp import LmtpServer

    house = _house()
    if not house.settings.reply_domain:
        return _say(
            "Set PORTAL_REPLY_DOMAIN first: the domain of the addresses that our mails are answered to.", REFUSED
        )
    start_logging()
    # The library tells every command with its addresses; ours belong in no log.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = LmtpServer(house, host=given.host, port=given.port)
    server.start()
    print(f"LMTP for {house.settings.reply_domain} at {given.host}:{server.port}. Ctrl-C ends it.", flush=True)
    stop.wait()
    server.stop()
    house.database.close()
    return OK


def work(given: argparse.Namespace) -> int:
    from portal.worker import work_until

    house = _house()
    done = work_until(house, given.until)
    print(f"{done} done. The demo's clock says {house.clock.now():%Y-%m-%d %H:%M} UTC.")
    house.database.close()
    return OK


# Files of won deals


def import_deals(given: argparse.Namespace) -> int:
    from portal.accounts.deal_files import LIMIT_MEGABYTES
    from portal.accounts.deal_problems import DealFileRefused
    from portal.journeys import importing
    from portal.journeys.conduct import current_pipeline_id
    from portal.journeys.import_models import DealImport
    from portal.journeys.shipped import AFTER_SALE

    try:
        with given.file.open("rb") as file:
            content = file.read(LIMIT_MEGABYTES * 1024 * 1024 + 1)
    except OSError as wrong:
        return _say(f"{given.file}: {wrong.strerror}", WRONG)
    house = _house()
    now = house.clock.now()
    try:
        with house.database.write() as db:
            current_pipeline_id(db, AFTER_SALE)
            draft, _table = importing.keep_file(
                db, name=given.file.name[:200], content=content, by="cli", staff_id=None, now=now
            )
    except DealFileRefused as refused:
        return _say(f"{given.file}: {refused}", WRONG)
    importing.plan(house, draft.id, now=now)
    with house.database.read() as db:
        draft = db.get_one(DealImport, draft.id)
    if draft.trouble or given.dry_run:
        try:
            if not draft.trouble:
                _print_import(house, draft, would=True)
        finally:
            with house.database.write() as db:
                importing.drop(db, draft.id)
            house.database.close()
        return _say(draft.trouble["message"] % draft.trouble["values"], WRONG) if draft.trouble else OK
    try:
        with house.database.write() as db:
            importing.confirm(
                db, house, draft.id, yes=importing.Confirmation(draft.version, is_sure=given.yes), by="cli", now=now
            )
    except importing.TooManyPeople as many:
        with house.database.write() as db:
            importing.drop(db, draft.id)
        return _say(f"Nothing was changed. {many.people} people would get a welcome mail, more than the {many.limit} of "
                    "PORTAL_STORM_LIMIT. If that is meant, add --yes.", REFUSED)  # fmt: skip
    importing.see_to_the_end(house, draft.id, now=now)
    code = _print_import(house, draft, would=False)
    house.database.close()
    return code


def _print_import(house: "House", draft: "DealImport", *, would: bool) -> int:
    """Prints what became (or would become) of each line; OK if every good one is in."""
    from portal.journeys import import_queries, importing
    from portal.journeys.import_models import Became

    with house.database.read() as db:
        counts = import_queries.counts(db, draft.id)
        told = importing.told_lines(db, draft.id)
    facts = draft.reading
    separator = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}.get(facts["delimiter"], facts["delimiter"])
    print(f"{draft.file_name}: {facts['rows']} rows, {facts['encoding']}, separated by {separator}")
    if would:
        print("Nothing is changed: this is what would become of the rows.")
    for became, words in (
        (Became.CREATED, "taken"), (Became.JOINED, "taken as a further contact"), (Became.UPDATED, "updated"),
        (Became.UNCHANGED, "unchanged"), (Became.DUPLICATE, "duplicate"), (Became.REFUSED, "refused"),
    ):  # fmt: skip
        print(f"{words + ':':<28}{counts[became]:>6}")
    if would:
        print(f"{'welcome mails:':<28}{facts['contacted']:>6}")
    refused = [line for line in told if line.became is Became.REFUSED]
    if refused:
        print("\nRefused:")
    for line in refused:
        for found in line.findings:
            print(f"  line {line.line}{_in_words(found)}")
    looked_at: dict[str, list[int]] = {}
    for line in told:
        for found in line.findings if line.became is not Became.REFUSED else []:
            looked_at.setdefault(_in_words(found), []).append(line.line)
    if looked_at:
        print("\nTaken in, but please look:")
    for sentence, numbers in looked_at.items():
        more = f" and {len(numbers) - 5} more" if len(numbers) > 6 else ""
        some = ", ".join(map(str, numbers[:5] if more else numbers))
        print(f"  line{'s' if len(numbers) > 1 else ''} {some}{more}{sentence}")
    kept_out = len(refused) > facts["became"].get(Became.REFUSED, 0)
    return REFUSED if kept_out and not would else OK


def _in_words(found: dict[str, Any]) -> str:
    column = f", {found['column']}" if found["column"] else ""
    return f"{column}: {found['message'] % found['values']}"


# Tokens and people


def token_create(given: argparse.Namespace) -> int:
    from portal import auth

    house = _house()
    with house.database.write() as db:
        made = auth.create_token(db, given.name, scope=auth.Scope(given.scope), by="cli", now=house.clock.now())
    print(made)
    return OK


def token_list(_given: argparse.Namespace) -> int:
    from sqlalchemy import select

    from portal.auth import ApiToken

    with _house().database.read() as db:
        for one in db.scalars(select(ApiToken).order_by(ApiToken.name)):
            used = f"last used {one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never used"
            print(f"{one.name}\t{one.scope}\t{'revoked' if one.revoked_at else used}")
    return OK


def token_revoke(given: argparse.Namespace) -> int:
    from portal import auth
    from portal.errors import NotFound

    house = _house()
    try:
        with house.database.write() as db:
            auth.revoke_token(db, given.name, by="cli", now=house.clock.now())
    except NotFound:
        return _say(f"There is no working token called {given.name}. See: portal token list", REFUSED)
    print(f"{given.name} opens nothing any more.")
    return OK


def staff_add(given: argparse.Namespace) -> int:
    from email_validator import EmailNotValidError, validate_email
    from sqlalchemy import select

    from portal.accounts.models import Staff
    from portal.accounts.rules import Language, Role, normalised_email
    from portal.audit import Event, Happened, note
    from portal.clock import zone
    from portal.text import clean_line

    house = _house()
    try:
        address = normalised_email(validate_email(given.email.strip(), check_deliverability=False).normalized)
        name = clean_line(given.name)
        timezone = zone(given.timezone or house.settings.default_timezone).key
    except (EmailNotValidError, ValueError) as wrong:
        return _say(str(wrong), WRONG)
    if not 0 < len(name) <= 200:
        return _say("--name: between 1 and 200 characters", WRONG)
    now = house.clock.now()
    with house.database.write() as db:
        if db.scalar(select(Staff.id).where(Staff.email == address)) is not None:
            return _say(f"{address} is there already.", REFUSED)
        person = Staff(
            email=address,
            name=name,
            role=Role(given.role),
            language=Language(given.language or house.settings.default_language),
            timezone=timezone,
            created_at=now,
        )
        db.add(person)
        db.flush()
        note(
            db,
            Event(Happened.STAFF_CHANGED, "cli", now, detail={"staff": person.id, "role": given.role, "added": True}),
        )
    print(f"{name} is in. They sign in at {house.url('/sign-in')} with {address}.")
    return OK


# Keeping


def check(_given: argparse.Namespace) -> int:
    house = _house()
    try:
        return _checked(house)
    finally:
        house.database.close()


def _checked(house: "House") -> int:
    from smtplib import SMTPException

    from sqlalchemy.exc import DBAPIError

    from portal.db import is_migrated
    from portal.delivery import open_mail_server

    code = OK
    print(f"settings  ok ({house.settings.env}{', demo' if house.settings.demo else ''})")
    try:
        with house.database.read() as db:
            migrated = is_migrated(db)
        print(
            f"database  {'ok' if migrated else 'reached, but its tables are of another version. Run: portal migrate'}"
        )
        code = code if migrated else REFUSED
    except DBAPIError as error:
        code = REFUSED
        print(f"database  not reached: {error.orig}. Check PORTAL_DATABASE_URL, and that it runs.")
    code = max(code, _check_answers(house))
    if not house.settings.smtp_url:
        print("mail      kept in the mailbox page (PORTAL_SMTP_URL is not set)")
        return code
    server = open_mail_server(house)
    try:
        server.open()
        print("mail      ok")
    except (OSError, SMTPException) as error:
        code = REFUSED
        print(f"mail      not reached: {error}. Check PORTAL_SMTP_URL.")
    finally:
        server.close()
    return code


def _check_answers(house: "House") -> int:
    """Whether answers to our mails can come in."""
    from portal.messages import imap

    if not house.settings.reply_domain:
        print("answers   go to the consultants' own mailboxes (PORTAL_REPLY_DOMAIN is not set)")
        return OK
    if not house.settings.imap_url.get_secret_value():
        print(f"answers   to {house.settings.reply_domain}, over LMTP: see that portal lmtp runs")
        return OK
    try:
        imap.check(house)
        print("answers   ok, the mailbox can be read")
    except imap.MailboxTrouble as trouble:
        print(f"answers   the mailbox can't be read: {trouble}. Check PORTAL_IMAP_URL.")
        return REFUSED
    return OK


def reindex(_given: argparse.Namespace) -> int:
    from portal.findable import make_anew

    house = _house()
    with house.database.write() as db:
        put = make_anew(db)
    house.database.close()
    print(f"{put} texts can be found.")
    return OK


def backup(given: argparse.Namespace) -> int:
    from portal import copies

    house = _house()
    copies.backup(house.database, given.file)
    print(f"{given.file} holds everything, as of now.")
    return OK


def restore(given: argparse.Namespace) -> int:
    from portal import copies

    house = _house()
    copies.restore(house.database, given.file)
    print("Restored. If it comes from an older version, run: portal migrate")
    return OK


if __name__ == "__main__":
    sys.exit(main())
