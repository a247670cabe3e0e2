"""The actors of a call: one coroutine a file, talking only through channels."""
