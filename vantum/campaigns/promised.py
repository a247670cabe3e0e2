"""Callbacks that were promised in calls: into the queue of the campaign that has the prospects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from attrs import define, field

from vantum.campaigns.news import Unread
from vantum.campaigns.store import CampaignStore
from vantum.telephony.wishes import CallbacksUnknown, Wishes

#: So often it is looked whether somebody wants to be called back.
_LOOK_S: Final = 20.0


@define(eq=False)
class Promised:
    """Those who want to be called back, for one run of a campaign.

    Attributes:
        wishes: where it is known; each under the campaign's own name.
        now_s: the time of day, in seconds since 1970.
        tell: is told when it cannot be known.
        is_due: to look at once: somebody has just said it.
    """

    wishes: tuple[Wishes, ...]
    store: CampaignStore
    now_s: Callable[[], float]
    tell: Callable[[Unread], None]
    is_due: bool = field(default=True, init=False)
    _looked_s: float = field(default=0.0, init=False)
    _looking: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    #: Something may have been taken up that is not in the queue: this run, or one before it, was
    #: cut off in between.
    _is_unsure: bool = field(default=True, init=False)
    _told: str = field(default="", init=False)

    @property
    def is_settled(self) -> bool:
        """Whether all that was promised up to now is in the queue, as far as it is ours."""
        return not self.is_due and not self._told

    async def take_up(self) -> None:
        """Put those into the queue who have asked to be called, if it is time to look again. If a
        server does not answer, that is told, and it is asked again.

        Raises:
            StorageError: our database failed.
            ConfigError: a server does not let us ask.
        """
        if not self.is_due and self.now_s() < self._looked_s + _LOOK_S:
            return
        self.is_due, self._looked_s = False, self.now_s()
        try:
            with trio.CancelScope() as self._looking:
                is_sure = [await self._take_up(wishes) for wishes in self.wishes]
                self._is_unsure = not all(is_sure)
        except CallbacksUnknown as error:
            self._is_unsure = True
            if self._told != str(error):
                self._told = str(error)
                self.tell(Unread(self._told))
        else:
            self._told = ""

    def stop(self) -> None:
        """Whoever stops the campaign need not wait for a server."""
        self._looking.cancel()

    async def _take_up(self, wishes: Wishes) -> bool:
        """Whether none is left over that was taken up before."""
        for wish in await wishes.open():
            # Who is on the phone may still change the time.
            if await self.store.is_ours(wish) == "ours" and await wishes.take(wish):
                await self.store.call_back(wish)
        is_sure = True
        for wish in await wishes.mine() if self._is_unsure else ():
            is_sure &= await self.store.is_ours(wish) != "not yet"
            await self.store.call_back(wish)
        return is_sure
