"""The record of a phone call: who, when, what was said and heard, what came of it, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs import Factory, frozen

from vantum.core.call_status import AnsweredBy, CallStatus, Direction, Outcome
from vantum.core.cost import CostEstimate
from vantum.core.events import Prospect

__all__ = ["AnsweredBy", "CallRecord", "CallStatus", "Direction", "Outcome", "RecordedTurn"]


@frozen
class RecordedTurn:
    """One turn. `said`: all that was said; `heard`: as much of it as was heard, which is less if
    the agent was interrupted. `at_s`: when it was recorded, in seconds since 1970."""

    role: Literal["user", "assistant", "tool"]
    said: str
    heard: str
    at_s: float
    interrupted: bool = False


@frozen
class CallRecord:
    """What is known of a call. Times are seconds since 1970; None: it has not come to that.

    `id` is ours, `sid` Twilio's (empty until it is known). `status` is Twilio's word for where the
    call stands and `outcome` ours for what came of it (None while it goes on); `ended_because` is
    for people. `duration_s`: from the answer to the end. `script`: the file's name, empty for the
    server's. `variant`: of the prompt. `stage`: where the call stood in its script at last.
    `facts`: what the agent noted of the person.
    """

    id: str
    direction: Direction
    from_number: str
    to_number: str
    created_s: float
    sid: str = ""
    prospect: Prospect = Prospect()
    status: CallStatus = "queued"
    answered_by: AnsweredBy = ""
    answered_s: float | None = None
    ended_s: float | None = None
    duration_s: float | None = None
    outcome: Outcome | None = None
    ended_because: str = ""
    cost: CostEstimate = CostEstimate()
    turns: tuple[RecordedTurn, ...] = ()
    variant: str = ""
    stage: str = ""
    facts: Mapping[str, str] = Factory(dict)
    campaign_id: str = ""
    script: str = ""
    session_id: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing changes any more."""
        return self.outcome is not None

    def to_json(self) -> dict[str, Any]:
        """For JSON: the names above in camelCase (`from` and `to` for the numbers, times without
        their unit's suffix), times as seconds since 1970."""
        about = {k: v for k, v in attrs.asdict(self.prospect).items() if v}
        return {
            "id": self.id,
            "sid": self.sid,
            "direction": self.direction,
            "from": self.from_number,
            "to": self.to_number,
            "prospect": about,
            "status": self.status,
            "answeredBy": self.answered_by or None,
            "createdAt": self.created_s,
            "answeredAt": self.answered_s,
            "endedAt": self.ended_s,
            "durationSeconds": self.duration_s,
            "outcome": self.outcome,
            "endedBecause": self.ended_because or None,
            "cost": self.cost.to_json(),
            "turns": [
                {
                    "role": turn.role,
                    "said": turn.said,
                    "heard": turn.heard,
                    "at": turn.at_s,
                    "interrupted": turn.interrupted,
                }
                for turn in self.turns
            ],
            "variant": self.variant or None,
            "stage": self.stage or None,
            "facts": dict(self.facts),
            "campaignId": self.campaign_id or None,
            "script": self.script or None,
            "sessionId": self.session_id or None,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> CallRecord:
        """What `to_json` made; fields that a later version added are passed over."""
        return cls(
            id=body["id"],
            direction=body["direction"],
            from_number=body["from"],
            to_number=body["to"],
            created_s=body["createdAt"],
            sid=body["sid"],
            prospect=Prospect(**body["prospect"]),
            status=body["status"],
            answered_by=body["answeredBy"] or "",
            answered_s=body["answeredAt"],
            ended_s=body["endedAt"],
            duration_s=body["durationSeconds"],
            outcome=body["outcome"],
            ended_because=body["endedBecause"] or "",
            cost=CostEstimate.from_json(body["cost"]),
            turns=tuple(
                RecordedTurn(t["role"], t["said"], t["heard"], t["at"], t["interrupted"])
                for t in body["turns"]
            ),
            variant=body["variant"] or "",
            stage=body["stage"] or "",
            facts=dict(body["facts"]),
            campaign_id=body["campaignId"] or "",
            script=body["script"] or "",
            session_id=body["sessionId"] or "",
        )
