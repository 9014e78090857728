"""Backups of the database and the recordings to object storage, and what comes back from there."""
