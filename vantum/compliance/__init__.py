"""Whom we may call, when, and the record of every decision about it."""
