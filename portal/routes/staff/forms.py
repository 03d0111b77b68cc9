"""What staff send in forms: one model each, with the lengths and limits that the tables have."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    field_validator,
)

from portal.accounts.deal_problems import Problem
from portal.accounts.deal_values import phone_of
from portal.accounts.rules import Channel, Language, Role
from portal.errors import N_
from portal.forms import Email, Zone
from portal.journeys.rules import FlagOutcome, Outcome, Whose
from portal.text import Line, Paragraphs, RequiredLine, clean, clean_line

Reason = Annotated[str, AfterValidator(clean_line), StringConstraints(min_length=1, max_length=500)]
Prose = Annotated[str, AfterValidator(clean), StringConstraints(min_length=1, max_length=10_000)]
Text1000 = Annotated[str, AfterValidator(clean), StringConstraints(max_length=1000)]
RequiredText1000 = Annotated[str, AfterValidator(clean), StringConstraints(min_length=1, max_length=1000)]
RowId = Annotated[int, Field(ge=1, le=2**62)]


ReasonWords = Annotated[str, AfterValidator(clean_line), StringConstraints(min_length=1, max_length=120)]


def _of_this_age(moment: datetime) -> datetime:
    """Years that no calendar reaches overflow on the way to UTC."""
    if not 2000 <= moment.year <= 2200:
        raise ValueError(N_("Please choose a time."))
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_of_this_age)]


def _sensible(value: date) -> date:
    if not 1970 <= value.year <= 2200:
        raise ValueError(N_("Please check the year."))
    return value


Day = Annotated[date, AfterValidator(_sensible)]


class ActivityDone(BaseModel):
    """Ticking an activity off; the note is optional."""

    note: Paragraphs = ""


class MoveForm(BaseModel):
    stage: Annotated[str, AfterValidator(clean_line), StringConstraints(min_length=1, max_length=80)]
    reason: Reason


class ConversationForm(BaseModel):
    contact: RowId | None = None
    channel: Channel
    result: Outcome
    note: Prose


class ResolutionForm(BaseModel):
    outcome: Literal[FlagOutcome.RESOLVED, FlagOutcome.ACCEPTED_RISK, FlagOutcome.LOST]
    reason: RowId | None = None
    note: Prose


class ReplyForm(BaseModel):
    """An answer to the person of a case; `slot`: up to three times to choose from."""

    text: Annotated[str, AfterValidator(clean), StringConstraints(min_length=1, max_length=9000)]
    slot: list[Moment] = []
    key: str = ""


class PromiseForm(BaseModel):
    """What we will do about a case, and by when."""

    solution: RequiredText1000
    due_on: Day


class HandoverForm(BaseModel):
    staff: RowId
    note: Prose


class MergeForm(BaseModel):
    duplicate: list[RowId] = []


class ReopeningForm(BaseModel):
    reason: Prose


class ReasonForm(BaseModel):
    """A reason for a flag, in both languages."""

    words_en: ReasonWords
    words_pt: ReasonWords


class AssignForm(BaseModel):
    staff: RowId


class NoteForm(BaseModel):
    note: Prose


class ActivityForm(BaseModel):
    title: RequiredLine
    due_on: Day


Amount = Annotated[Decimal, Field(ge=-(10**9), le=10**9, max_digits=12, decimal_places=2)]


def _comma(value: object) -> object:
    """Half the readers write 4,5."""
    return value.strip().replace(",", ".") if isinstance(value, str) else value


class GoalForm(BaseModel):
    day: Literal["30", "60", "90"]
    title: RequiredLine
    measure: Line = ""
    unit: Annotated[str, AfterValidator(clean_line), StringConstraints(max_length=60)] = ""
    starts: Annotated[Amount | None, BeforeValidator(_comma)] = None
    target: Annotated[Amount | None, BeforeValidator(_comma)] = None


class ProgressForm(BaseModel):
    reached: Annotated[Amount, BeforeValidator(_comma)]


class IssueForm(BaseModel):
    problem: RequiredText1000
    solution: Text1000 = ""
    whose: Whose
    due_on: Day


Title = Annotated[str, AfterValidator(clean_line), StringConstraints(max_length=200)]
Text500 = Annotated[str, AfterValidator(clean), StringConstraints(max_length=500)]
DayOfUse = Annotated[int, Field(ge=-365, le=3650)]


class MilestoneForm(BaseModel):
    """A milestone of one customer. What the other language doesn't say is the same in it."""

    title: RequiredLine
    title_other: Title = ""
    help: Text1000 = ""
    help_other: Text1000 = ""
    whose: Whose
    due_on: Day | None = None
    day: DayOfUse | None = None
    needs: list[str] = []


class TouchpointForm(BaseModel):
    title: RequiredLine
    title_other: Title = ""
    objective: Text500 = ""
    objective_other: Text500 = ""
    channel: Literal["meeting", "phone", "email", "portal"]
    due_on: Day | None = None
    day: DayOfUse | None = None


class EntryForm(BaseModel):
    """A milestone or touchpoint of a template, in both languages."""

    title_en: RequiredLine
    title_pt: RequiredLine
    text_en: Text500 = ""
    text_pt: Text500 = ""
    stage: Annotated[str, AfterValidator(clean_line), StringConstraints(max_length=80)] = ""
    whose: Whose = Whose.US
    channel: Literal["", "meeting", "phone", "email", "portal"] = ""
    when: Literal["before", "day", "after"]
    day: DayOfUse | None = None
    after: Annotated[str, AfterValidator(clean_line), StringConstraints(max_length=80)] = ""
    after_days: DayOfUse | None = None
    needs: list[str] = []


class TemplateForm(BaseModel):
    product: RequiredLine
    copy_of: RowId | None = None


class PublicPlanForm(BaseModel):
    prospect: RequiredLine
    product: Line = ""
    language: Language
    starts_on: Day
    staff: RowId


class ShownPlanForm(BaseModel):
    public_plan: RowId


class FlagForm(BaseModel):
    contact: RowId | None = None
    words: Prose


class UseStartForm(BaseModel):
    on: Day


class ChurnForm(BaseModel):
    on: Day
    reason: Reason
    sure: Literal["yes"]


class Tick(BaseModel):
    done: bool = False


def _currency(value: str) -> str:
    if value and not (len(value) == 3 and value.isascii() and value.isalpha()):
        raise ValueError(N_("Please write three letters, such as BRL or USD."))
    return value.upper()


class CustomerForm(BaseModel):
    """A won deal, typed in."""

    name: RequiredLine
    plan: Line = ""
    mrr_amount: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)] = Decimal(0)
    mrr_currency: Annotated[str, AfterValidator(clean_line), AfterValidator(_currency)] = ""
    sold_on: Day | None = None
    renews_on: Day | None = None
    contact_name: RequiredLine
    email: Email | None = None
    phone: Line = ""
    language: Language
    timezone: Zone
    consultant: RowId | None = None
    public_plan: RowId | None = None
    notes: Paragraphs = ""

    @field_validator("phone")
    @classmethod
    def _phone(cls, value: str) -> str:
        if not value:
            return ""
        found = phone_of(value, ("BR", "US"))
        if isinstance(found, Problem):
            raise ValueError(N_("Please enter a phone number with its area code, such as +55 11 91234-5678."))
        return found.first


class StaffForm(BaseModel):
    name: RequiredLine
    email: Email
    role: Role
    language: Language
    timezone: Zone


class RoleForm(BaseModel):
    role: Role
