"""One file per place a person visits, grouped by who they are."""
