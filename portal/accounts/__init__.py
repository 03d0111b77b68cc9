"""Companies we look after, the people at them, and the staff who do."""
