"""Availability, bookings and calendars."""
