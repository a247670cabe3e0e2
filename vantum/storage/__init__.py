"""What outlives a process: one SQLite file that every room has its tables in."""
