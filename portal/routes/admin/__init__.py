"""The set-up: what administrators, and for some of it managers, decide for the whole portal."""
