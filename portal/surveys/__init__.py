"""Questions, invitations, answers, outcomes."""
