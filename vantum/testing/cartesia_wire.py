"""What the simulated Cartesia accepts and how it refuses: its requests and errors as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

_RATES_HZ = (8000, 16_000, 22_050, 24_000, 44_100, 48_000)
_ENCODINGS = ("pcm_s16le", "pcm_f32le", "pcm_mulaw")
_TITLES = {400: "Invalid request", 401: "Unauthorized", 402: "Credits exhausted"}
_TITLES |= {403: "Forbidden", 404: "Not found", 429: "Too many concurrent requests"}

#: A generation request as it came.
Input: TypeAlias = Mapping[str, Any]


def error_body(status: int, code: str | None) -> dict[str, Any]:
    """An error as Cartesia words them, over HTTP and in error events."""
    title = _TITLES.get(status, "Internal server error")
    return {"error_code": code, "title": title, "message": title, "request_id": "simulated"}


def problem(message: Input) -> str | None:
    """What is wrong with a generation request, as an error code."""
    output, voice = message.get("output_format"), message.get("voice")
    if not isinstance(message.get("context_id"), str):
        return "context_id_invalid"
    if not message.get("model_id"):
        return "model_not_found"
    if not (voice if isinstance(voice, str) else isinstance(voice, dict) and voice.get("id")):
        return "voice_not_found"
    if not isinstance(message.get("transcript"), str):
        return "transcript_invalid"
    if not message["transcript"].strip() and not (message.get("flush") or "continue" in message):
        return "transcript_empty"
    if not (
        isinstance(output, dict)
        and output.get("container") == "raw"
        and output.get("encoding") in _ENCODINGS
        and output.get("sample_rate") in _RATES_HZ
    ):
        return "output_format_invalid"
    return None
