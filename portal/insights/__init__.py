"""The figures managers read."""
