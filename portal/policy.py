"""What staff may do: one table of role and permission. Customers need none: they see what is theirs."""

from enum import StrEnum

from portal.accounts.rules import Role


class Permission(StrEnum):
    """Everything that some of the staff may do and others not."""

    SEE_CUSTOMERS = "see_customers"
    MOVE_JOURNEYS = "move_journeys"
    HANDLE_FLAGS = "handle_flags"
    TALK_TO_CUSTOMERS = "talk_to_customers"
    KEEP_OWN_HOURS = "keep_own_hours"
    ASK_FOR_REFERRALS = "ask_for_referrals"
    SEE_FIGURES = "see_figures"
    EXPORT_CUSTOMERS = "export_customers"
    IMPORT_DEALS = "import_deals"
    REASSIGN_CUSTOMERS = "reassign_customers"
    CLOSE_ACCOUNTS = "close_accounts"
    HANDLE_REWARDS = "handle_rewards"
    EDIT_CONTENT = "edit_content"
    EDIT_REASONS = "edit_reasons"
    EDIT_PIPELINES = "edit_pipelines"
    EDIT_SURVEYS = "edit_surveys"
    SEND_SURVEYS = "send_surveys"
    MANAGE_STAFF = "manage_staff"
    MANAGE_INTEGRATIONS = "manage_integrations"
    MANAGE_PRIVACY = "manage_privacy"
    SEE_AUDIT = "see_audit"


# Every consultant sees every customer: teams are small and stand in for one another; "mine" is a filter, not a wall.
_CONSULTANT = frozenset(
    {
        Permission.SEE_CUSTOMERS,
        Permission.MOVE_JOURNEYS,
        Permission.HANDLE_FLAGS,
        Permission.TALK_TO_CUSTOMERS,
        Permission.KEEP_OWN_HOURS,
        Permission.ASK_FOR_REFERRALS,
    }
)
_MANAGER = _CONSULTANT | {
    Permission.SEE_FIGURES,
    Permission.EXPORT_CUSTOMERS,
    Permission.IMPORT_DEALS,
    Permission.REASSIGN_CUSTOMERS,
    Permission.CLOSE_ACCOUNTS,
    Permission.HANDLE_REWARDS,
    Permission.EDIT_CONTENT,
    Permission.EDIT_REASONS,
    Permission.SEND_SURVEYS,
}

ALLOWED: dict[Role, frozenset[Permission]] = {
    Role.CONSULTANT: _CONSULTANT,
    Role.MANAGER: _MANAGER,
    Role.ADMINISTRATOR: frozenset(Permission),
}


def may(role: Role, permission: Permission) -> bool:
    """Whether staff of that role may do it."""
    return permission in ALLOWED[role]
