"""Calls of the JSON API, one file for each thing that integrations ask about."""
