"""Pages for staff: their day, the pipeline, the inbox of flags, customers, people, referrals."""
