"""The thread between a customer and their consultant, in the portal and by mail."""
