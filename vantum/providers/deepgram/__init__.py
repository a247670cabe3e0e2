"""Deepgram: live speech recognition."""
