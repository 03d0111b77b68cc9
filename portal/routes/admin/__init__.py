"""Set-up, each page by its permission."""
