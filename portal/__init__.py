"""Onward: the portal a company gives its customers the moment a sale closes."""

__version__ = "0.1.0"
