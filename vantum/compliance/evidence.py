"""What the audit log says of a decision."""

from __future__ import annotations

from typing import Any

from vantum.compliance.permit import DialRequest, Refusal
from vantum.core.calling_hours import local
from vantum.core.dial_policy import DialFacts, possible_zones


def about_request(request: DialRequest) -> dict[str, Any]:
    """What the record says of a request."""
    return {
        "call_id": request.call_id,
        "campaign_id": request.campaign_id,
        "from_number": request.from_number,
        "opening": request.opening,
        "voicemail": request.voicemail,
        "timezone": request.timezone,
    }


def reasons_of(refusal: Refusal) -> dict[str, Any]:
    """What it says of a refusal."""
    return {
        "reasons": [{"code": reason.code, "text": reason.text} for reason in refusal.reasons],
        "retry_at_s": refusal.retry_at_s,
    }


def evidence_of(facts: DialFacts) -> dict[str, Any]:
    """What was known, for whoever asks later why."""
    zones = possible_zones(facts) or facts.place.zones
    return {
        "country": facts.place.region,
        "line": facts.place.kind,
        "local_times": {str(zone): f"{local(facts.now_s, zone):%a %H:%M}" for zone in zones},
        "attempts": len(facts.attempts_s),
        "consents": [each.consent_id for each in facts.consents],
    }
