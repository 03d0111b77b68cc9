"""Where staff work."""
