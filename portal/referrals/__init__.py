"""Friends that happy customers bring."""
