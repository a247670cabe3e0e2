"""Payloads of what the server sends: `vantum.core` values → the registry's key and a map."""

from __future__ import annotations

from typing import Any, assert_never

from vantum.core.events import (
    Busy,
    Disconnecting,
    Interrupted,
    LatencyMeasured,
    Maintenance,
    OutputCancelled,
    OutputCompleted,
    OutputStarted,
    QuotaExceeded,
    RateLimitWarning,
    Ready,
    ResponseCompleted,
    ResponseStarted,
    ResponseToken,
    StageChanged,
    StateChanged,
    TranscriptOut,
    Welcome,
)
from vantum.wire.fields import Vocabulary


def server_payload(
    message: Welcome
    | TranscriptOut
    | ResponseStarted
    | ResponseToken
    | ResponseCompleted
    | OutputStarted
    | OutputCompleted
    | OutputCancelled
    | StateChanged
    | StageChanged
    | Interrupted
    | LatencyMeasured
    | Ready
    | Busy
    | Maintenance
    | RateLimitWarning
    | QuotaExceeded
    | Disconnecting,
    vocabulary: Vocabulary,
) -> tuple[str, dict[str, Any]]:
    """The registry's key and the payload."""
    match message:
        case TranscriptOut():
            return _transcript_payload(message)
        case OutputStarted(utterance, timestamp, rate):
            return "output_start", {
                "utteranceId": utterance,
                "timestamp": timestamp,
                "sampleRate": rate,
            }
        case OutputCompleted(utterance, duration):
            return "output_complete", {"utteranceId": utterance, "durationMs": duration}
        case OutputCancelled(utterance, timestamp, reason, interrupted):
            payload: dict[str, Any] = {"utteranceId": utterance, "timestamp": timestamp}
            if vocabulary == "unified":
                payload["reason"] = reason
            return "output_interrupt" if interrupted else "output_stop", payload
        case Welcome():
            return "welcome", {"success": True}
        case Disconnecting(reason):
            return "disconnect", {"reason": reason}
        case ResponseStarted() | ResponseToken() | ResponseCompleted():
            return _response_payload(message)
        case StateChanged() | StageChanged():
            return _moved_payload(message)
        case Interrupted(utterance, heard, timestamp):
            return "interrupted", {
                "heardText": heard,
                "utteranceId": utterance,
                "timestamp": timestamp,
            }
        case LatencyMeasured():
            return "turn_latency", _latency_payload(message)
        case _:
            return _status_payload(message)


def _transcript_payload(message: TranscriptOut) -> tuple[str, dict[str, Any]]:
    return "transcript_final" if message.is_final else "transcript_interim", {
        "transcript": message.transcript,
        "confidence": message.confidence,
        "timestamp": message.timestamp_ms,
        "language": message.language,
    }


def _moved_payload(message: StateChanged | StageChanged) -> tuple[str, dict[str, Any]]:
    key = "state_changed" if isinstance(message, StateChanged) else "stage_changed"
    payload = {"from": message.old, "to": message.new, "timestamp": message.timestamp_ms}
    return key, {name: value for name, value in payload.items() if value is not None}


def _response_payload(
    message: ResponseStarted | ResponseToken | ResponseCompleted,
) -> tuple[str, dict[str, Any]]:
    match message:
        case ResponseStarted(utterance, timestamp):
            return "response_start", {"utteranceId": utterance, "timestamp": timestamp}
        case ResponseToken(utterance, token):
            return "response_token", {"utteranceId": utterance, "token": token}
        case ResponseCompleted(utterance, text, is_fallback, tier):
            payload = {"text": text, "utteranceId": utterance, "isFallback": is_fallback}
            return "response_complete", payload if tier is None else payload | {"tier": tier}
        case _ as never:
            assert_never(never)


def _latency_payload(message: LatencyMeasured) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "utteranceId": message.utterance_id,
        "timestamp": message.timestamp_ms,
        "turn": message.turn,
        "outcome": message.outcome,
        "gapMs": message.gap_ms,
        "frameworkMs": message.framework_ms,
        "aheadMs": message.ahead_ms,
        "parts": dict(message.parts_ms),
    }
    return payload if message.heard_by is None else payload | {"heardBy": message.heard_by}


def _status_payload(
    message: Ready | Busy | Maintenance | RateLimitWarning | QuotaExceeded,
) -> tuple[str, dict[str, Any]]:
    match message:
        case Ready(providers):
            return "ready", {"providers": dict(providers)}
        case Busy(active, most):
            return "busy", {"activeSessions": active, "maxSessions": most}
        case Maintenance(text):
            return "maintenance", {"message": text}
        case RateLimitWarning(text, limit):
            return "rate_limit_warning", {"message": text, "limitPerSecond": limit}
        case QuotaExceeded(service, text):
            return "quota_exceeded", {"service": service, "message": text}
        case _ as never:
            assert_never(never)
