"""What the agent can do in a phone call besides talking, tied to that very call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
from attrs import frozen
from starlette.routing import BaseRoute

from vantum.actors.call import Call
from vantum.compliance.check import Compliance
from vantum.config import Settings
from vantum.config.providers import is_openai
from vantum.config.tools import PHONE_TOOLS
from vantum.core.tools import Tool
from vantum.storage.database import Database
from vantum.telephony.callbacks import Callbacks
from vantum.telephony.calls import Calls
from vantum.telephony.invitations import Invitations
from vantum.telephony.live import LiveCall
from vantum.telephony.opting_out import OptOuts
from vantum.telephony.phone_tools import SEND_DIGITS, do_not_call, schedule_callback, transfer
from vantum.telephony.transfers import Transfers


@frozen
class Abilities:
    """The abilities of all calls of a process. `now_s`: the time of day, in seconds."""

    settings: Settings
    opt_outs: OptOuts
    callbacks: Callbacks
    transfers: Transfers
    now_s: Callable[[], float]

    @classmethod
    def of(
        cls,
        settings: Settings,
        calls: Calls,
        compliance: Compliance,
        database: Database,
        invitations: Invitations,
        now_s: Callable[[], float],
    ) -> Abilities:
        """Those that the settings ask for."""
        rules = settings.compliance
        return cls(
            settings,
            OptOuts(
                compliance,
                calls.nursery,
                rules.opt_out_reply,
                rules.more_opt_out_phrases,
                rules.listened_languages,
            ),
            Callbacks(database, now_s, new_id=calls.means.new_id),
            Transfers(settings.twilio, settings.transfer, calls, invitations),
            now_s,
        )

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """For the server's HTTP side."""
        return self.transfers.routes

    def equip(self, live: LiveCall, call: Call) -> Call:
        """The call's session, with an ear for opt-outs and the phone's tools.

        What is said is overheard in any case; it takes no tools and no model.
        """
        tools = tuple(self._tool(name, live) for name in self._names(call))
        return attrs.evolve(
            call, tools=(*call.tools, *tools), overhear=partial(self.opt_outs.overhear, live)
        )

    def _names(self, call: Call) -> tuple[str, ...]:
        names = self.settings.tools.phone_names
        if names is None:
            takes_tools = call.tools or is_openai(self.settings.openai.base_url)
            names = PHONE_TOOLS if takes_tools else ()
        own = {tool.name for tool in call.tools}
        possible = self.transfers.is_possible
        return tuple(n for n in names if n not in own and (possible or n != "transfer"))

    def _tool(self, name: str, live: LiveCall) -> Tool:
        match name:
            case "send_digits":
                return SEND_DIGITS
            case "transfer":
                return transfer(self.transfers, live)
            case "schedule_callback":
                return schedule_callback(self.callbacks, live, self.now_s)
            case _:
                return do_not_call(self.opt_outs, live)
