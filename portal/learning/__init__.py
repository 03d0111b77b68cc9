"""Tutorials and who has done them."""
