"""Referrals for staff: whom to ask and why, the friends who said yes, and what becomes of them."""

from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints
from starlette.responses import Response

from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_
from portal.forms import Filled, empty_form, read_form
from portal.policy import Permission
from portal.referrals import actions, prompts, queries
from portal.referrals.rules import Move, Result
from portal.text import RequiredLine

pages = staff_pages(Permission.ASK_FOR_REFERRALS)
rewards = staff_pages(Permission.HANDLE_REWARDS)

A_PAGE = 50


class PromptForm(BaseModel):
    result: Result


class RejectForm(BaseModel):
    why: Annotated[RequiredLine, StringConstraints(max_length=200)]


@pages.get("/referrals")
def referrals(ask: StaffAsk) -> Response:
    return ask.page("staff/referrals.html", **_shown(ask, empty_form()))


@pages.post("/referrals/prompts/{prompt}/close")
def close_prompt(ask: StaffAsk, prompt: Id) -> Response:
    filled = read_form(PromptForm, ask.form)
    if filled.value is None:
        return _again(ask, filled)
    prompts.close_prompt(ask.db, prompt, result=filled.value.result, by=ask.me.by, now=ask.now)
    said = N_("Noted: you asked them.") if filled.value.result is Result.ASKED else N_("Noted: not now.")
    return ask.see_other("/staff/referrals", said=said, undo=f"/staff/referrals/prompts/{prompt}/reopen")


@pages.post("/referrals/prompts/{prompt}/reopen")
def reopen_prompt(ask: StaffAsk, prompt: Id) -> Response:
    prompts.reopen_prompt(ask.db, prompt)
    return ask.see_other("/staff/referrals")


@pages.post("/referrals/{referral}/qualify")
def qualify(ask: StaffAsk, referral: Id) -> Response:
    return _moved(ask, referral, Move.QUALIFY, N_("Noted: it fits, and you are in talks."))


@pages.post("/referrals/{referral}/win")
def win(ask: StaffAsk, referral: Id) -> Response:
    return _moved(ask, referral, Move.WIN, N_("Noted: a new customer. The reward is due now."))


@pages.post("/referrals/{referral}/reject")
def reject(ask: StaffAsk, referral: Id) -> Response:
    filled = read_form(RejectForm, ask.form)
    if filled.value is None:
        return _again(ask, filled, rejecting=referral)
    return _moved(
        ask,
        referral,
        Move.REJECT,
        N_("Noted. The customer reads “Not this time”, without the reason."),
        filled.value.why,
    )


@rewards.post("/referrals/{referral}/reward")
def reward(ask: StaffAsk, referral: Id) -> Response:
    return _moved(ask, referral, Move.REWARD, N_("Noted: both sides have their reward."))


def _moved(ask: AskOfStaff, referral: int, move: Move, said: str, why: str = "") -> Response:
    actions.move(ask.db, referral, to=move, by=ask.me.by, now=ask.now, why=why)
    return ask.see_other("/staff/referrals", said=said)


def _again(ask: AskOfStaff, filled: Filled[Any], *, rejecting: int = 0) -> Response:
    return ask.invalid("staff/referrals.html", rejecting=rejecting, **_shown(ask, filled))


def _shown(ask: AskOfStaff, form: Filled[Any]) -> dict[str, Any]:
    mine = ask.query.get("whose", "") == "mine"
    before = ask.query.get("before", "")
    before_id = int(before) if before.isascii() and before.isdigit() and len(before) <= 18 else None
    owner_id = ask.me.staff_id if mine else None
    rows = queries.accepted(ask.db, owner_id=owner_id, before_id=before_id, limit=A_PAGE + 1)
    return {
        "form": form,
        "mine": mine,
        "prompts": queries.open_prompts(ask.db, owner_id),
        "referrals": rows[:A_PAGE],
        "older": f"?{'whose=mine&' if mine else ''}before={rows[A_PAGE - 1].id}" if len(rows) > A_PAGE else "",
        "is_first": before_id is None,
    }
