"""`portal import`, run as people run it: what it prints, what it leaves, and how soon it says no."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.clock import SystemClock
from portal.db import Database
from portal.journeys.import_models import DealImport, ImportLine
from portal.journeys.models import JourneyRow
from tests import servers

Run = Callable[..., "subprocess.CompletedProcess[str]"]
DATA = Path(__file__).resolve().parent / "data"
HEADER = "Deal ID,Company,Contact Name,Email,Close Date\n"


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    return kept | {
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_DATA_DIR": str(tmp_path / "data"),
        "PORTAL_SECRET_KEY": "s" * 40,
        "PYTHONPATH": str(servers.ROOT),
    }


@pytest.fixture
def portal(environment: dict[str, str]) -> Run:
    def run(*words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "portal.cli", *words]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True, check=False, timeout=300)

    assert run("migrate").returncode == 0
    return run


def count(database: Database, what: object) -> int:
    with database.read() as db:
        return db.scalar(select(func.count(what))) or 0  # type: ignore[arg-type]


def numbers(printed: str) -> dict[str, int]:
    """`taken: 3` and the like."""
    pairs = (line.split(":") for line in printed.splitlines() if line.count(":") == 1 and line[:1].isalpha())
    return {name: int(n) for name, n in pairs if n.strip().isdigit() and int(n)}


def test_both_real_files_arrive_and_again_change_nothing(portal: Run, database: Database) -> None:
    for name, taken, again in (
        ("closed_won_deals.csv", {"taken": 291, "duplicate": 1, "refused": 8}, 291),
        ("negocios_ganhos.csv",
         {"taken": 383, "taken as a further contact": 1, "duplicate": 1, "refused": 15}, 384),
    ):  # fmt: skip
        first = portal("import", str(DATA / name), "--yes")
        assert (first.returncode, first.stderr, numbers(first.stdout)) == (0, "", taken)
        second = portal("import", str(DATA / name))
        unchanged = {"unchanged": again, "duplicate": taken["duplicate"], "refused": taken["refused"]}
        assert (second.returncode, numbers(second.stdout)) == (0, unchanged)
        assert second.stdout.splitlines()[8].startswith("Refused:")
    assert (
        "  line 42, Time Zone: “Mars/Olympus” isn't a time zone. Write region/city, such as"
        in portal("import", str(DATA / "closed_won_deals.csv")).stdout
    )
    assert count(database, Account.id) == 291 + 383


def test_a_dry_run_says_all_and_leaves_nothing(portal: Run, database: Database) -> None:
    shown = portal("import", str(DATA / "closed_won_deals.csv"), "--dry-run")
    assert shown.returncode == 0
    assert {"taken": 291, "duplicate": 1, "refused": 8}.items() <= numbers(shown.stdout).items()
    assert "Nothing is changed" in shown.stdout
    assert [count(database, what) for what in (Account.id, DealImport.id, ImportLine.id)] == [0, 0, 0]


def test_many_mails_need_a_yes(portal: Run, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "fresh.csv"
    today = SystemClock().now().date() - timedelta(days=1)
    file.write_text(HEADER + "".join(f"F-{n},Firm {n},A,a@f{n}.example,{today}\n" for n in range(4)))
    refused = portal("import", str(file), PORTAL_STORM_LIMIT="3")
    assert (refused.returncode, refused.stdout, refused.stderr) == (
        1, "", "Nothing was changed. 4 people would get a welcome mail, more than the 3 of PORTAL_STORM_LIMIT. "
        "If that is meant, add --yes.\n",
    )  # fmt: skip
    assert [count(database, what) for what in (Account.id, DealImport.id)] == [0, 0]
    taken = portal("import", str(file), "--yes", PORTAL_STORM_LIMIT="3")
    assert (taken.returncode, numbers(taken.stdout)) == (0, {"taken": 4})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (bytes(range(256)) * 50, "We can't read the letters in line"),
        (b"%PDF-1.7\n1 0 obj", "We can't find a table in this file."),
        (b"PK\x03\x04[Content_Types].xml", "This is a spreadsheet or an archive, not a CSV file."),
        (b"Name,Colour\nMaria,red\n", "Which column holds the company's name?"),
        (None, "The file is larger than 20 MB."),
    ],
    ids=["empty", "binary", "pdf", "xlsx", "other-table", "100-MB"],
)
def test_what_cannot_be_taken_in_is_told_in_seconds(
    portal: Run, database: Database, tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "deals.csv"
    if content is None:
        with file.open("wb") as sparse:
            sparse.truncate(100 * 1024 * 1024)
    else:
        file.write_bytes(content)
    began = time.monotonic()
    told = portal("import", str(file))
    assert time.monotonic() - began < 20
    assert (told.returncode, words in told.stderr, told.stdout) == (2, True, "")
    assert count(database, DealImport.id) == 0


def test_a_file_that_is_not_there_is_a_sentence(portal: Run, tmp_path: Path) -> None:
    missing = portal("import", str(tmp_path / "none.csv"))
    assert (missing.returncode, missing.stderr) == (2, f"{tmp_path / 'none.csv'}: No such file or directory\n")
    assert portal("import", str(tmp_path)).returncode == 2


def test_killed_in_the_middle_it_goes_on_where_it_was(
    portal: Run, database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "many.csv"
    file.write_text(HEADER + "".join(f"F-{n},Firm {n},A,a@f{n}.example,2026-01-20\n" for n in range(200)))
    command = [sys.executable, "-m", "portal.cli", "import", str(file)]
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while count(database, Account.id) == 0 and time.monotonic() < deadline:
        assert running.poll() is None
    running.send_signal(signal.SIGKILL)
    running.wait()
    some = count(database, Account.id)
    assert 0 < some < 200
    assert count(database, JourneyRow.id) == some
    again = portal("import", str(file))
    assert again.returncode == 0
    assert [count(database, what) for what in (Account.id, JourneyRow.id)] == [200, 200]
    # The killed one is carried on first, by whoever comes by.
    assert numbers(again.stdout)["unchanged"] >= some
    with database.read() as db:
        assert db.scalars(select(DealImport.finished_at).where(DealImport.finished_at.is_(None))).all() == []
