"""Pages for anyone: sign-in, survey answers, invitations, preferences of this browser."""
