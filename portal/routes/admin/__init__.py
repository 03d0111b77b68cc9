"""The set-up: what administrators and managers decide for everybody."""
