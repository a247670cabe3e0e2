"""The caller: a person with a phone, who talks, listens, coughs, interrupts and hangs up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from vantum.core import events as e
from vantum.core.wording import words_of
from vantum.testing.calls.earpiece import Earpiece, Utterance
from vantum.testing.calls.log import CallLog, Line, quoted
from vantum.testing.calls.microphone import Microphone, Take
from vantum.testing.calls.phone import Phone
from vantum.testing.calls.voice import Sound, cough, noise, recording, speech
from vantum.wire.client import Envelope

#: Both sides silent for so long: nobody is in the middle of anything.
_QUIET_S = 0.3


@define(eq=False)
class Caller:
    """Everything that a caller can do; each method returns when it is done.

    What takes a voice goes through the microphone in order. Methods that wait fail with
    `trio.TooSlowError` after five minutes of virtual time.
    """

    phone: Phone
    microphone: Microphone
    earpiece: Earpiece
    log: CallLog
    options: e.InputOptions = field(factory=e.InputOptions)
    reports_ms: int = 0
    _started: trio.Event = field(factory=trio.Event)
    _asked: int = 0  # how many answers there were when the caller last began to speak
    _lines: dict[str, Line] = field(factory=dict)

    async def run(self) -> None:
        """The microphone and the reports, from the moment at which the call has begun."""
        await self._started.wait()
        async with trio.open_nursery() as nursery:
            if self.reports_ms:
                nursery.start_soon(self._report)
            await self.microphone.run()
            nursery.cancel_scope.cancel()

    async def _report(self) -> None:
        """Tell the server how far playback has come, as a careful client does."""
        while True:
            await trio.sleep(self.reports_ms / 1000)
            if (playing := self.earpiece.playing) is not None and playing.began_s is not None:
                played_ms = playing.heard_s(trio.current_time()) * 1000
                message = e.Played(self.phone.request(), playing.utterance_id, played_ms)
                await self.phone.send(message)

    # ------------------------------------------------------------ speaking

    async def say(self, text: str, seconds: float | None = None) -> Take:
        """Say words in a synthetic voice (0.3 s a word if nothing else is said)."""
        return await self._utter(speech(text, seconds))

    async def play(self, source: Path | str | bytes | Sound, text: str = "") -> Take:
        """Play a recording (a WAV file, its bytes, or a `Sound`); `text` is what is said in it."""
        sound = source if isinstance(source, Sound) else recording(source, text)
        return await self._utter(sound)

    async def backchannel(self, text: str = "mm-hmm", seconds: float = 0.4) -> Take:
        """A sound of listening; it asks for no answer."""
        return await self._utter(speech(text, seconds, kind="backchannel"))

    async def cough(self) -> Take:
        """Cough."""
        return await self._utter(cough())

    async def noise(self, seconds: float, dbfs: float = -40.0) -> Take:
        """Steady noise on the line."""
        return await self._utter(noise(seconds, dbfs))

    async def _utter(self, sound: Sound) -> Take:
        if sound.kind == "speech":
            self._asked = len(self.earpiece.utterances)
        take = self.microphone.play(sound)
        who = "caller" if sound.words else "noise"
        self.log.add(who, quoted(sound.text) if sound.words else sound.text, take.began_s)
        await take.done.wait()
        return take

    async def interrupt_after(
        self, seconds: float, text: str, *, takes_s: float | None = None
    ) -> Take:
        """Let the agent speak for so long, then cut in with `text`."""
        await self.hear(seconds)
        return await self.say(text, takes_s)

    # ------------------------------------------------------------ the phone's buttons

    async def start(self) -> None:
        """Begin (`audio.input.start`); returns when the server listens."""
        await self.phone.start(self.options)
        self.microphone.begin()
        self._started.set()

    async def end_turn(self) -> None:
        """Say that the turn is over (`audio.input.end`)."""
        self.log.add("press", "end of turn")
        await self.phone.end()

    async def press_interrupt(self) -> None:
        """Stop the answer (`user.action.interrupt`)."""
        self.log.add("press", "interrupt")
        await self.phone.send(e.Interrupt(self.phone.request()))

    async def mute(self, muted: bool = True) -> None:
        """Mute the microphone, or open it again."""
        self.log.add("press", "mute" if muted else "unmute")
        await self.phone.send(e.Mute(self.phone.request(), muted))

    async def end_call(self) -> None:
        """End the call politely (`user.action.end_call`); returns when the server has closed."""
        self.log.add("press", "end of call")
        await self.phone.send(e.EndCall(self.phone.request()))
        await self.phone.over.wait()

    def hang_up(self) -> None:
        """Close the connection."""
        self.log.add("caller", "hangs up")
        self.phone.hang_up()

    def lose_connection(self) -> None:
        """The connection is gone, with all that was under way."""
        self.log.add("network", "the connection is lost")
        self.phone.line.reset()

    def stop_reading(self, stopped: bool = True) -> None:
        """The client takes nothing from the line any more, or does so again."""
        self.log.add("network", "the client stops reading" if stopped else "the client reads on")
        self.phone.line.down.stop(stopped)

    # ------------------------------------------------------------ listening

    async def pause(self, seconds: float) -> None:
        """Do nothing for so long."""
        await trio.sleep(seconds)

    async def hear(self, seconds: float) -> Utterance:
        """Listen until so much of an answer has been heard, of the one that is playing or the next.

        An answer that ends before does not count.
        """
        return await self._heard(lambda u: u.reached_at(seconds))

    async def hear_word(self, word: str) -> Utterance:
        """Listen until the agent says a word (without regard to case and punctuation), from now."""
        wanted, since_s = _bare(word), trio.current_time()

        def reached(utterance: Utterance) -> float | None:
            self.earpiece.learn_words(utterance)
            for known in utterance.words:
                at_s = utterance.reached_at(known.end_s)
                if _bare(known.text) == wanted and at_s is not None and at_s >= since_s:
                    return at_s
            return None

        return await self._heard(reached)

    async def _heard(self, reached: Callable[[Utterance], float | None]) -> Utterance:
        """Wait for a place in what is playing, or in what is played after it."""

        def place() -> tuple[Utterance | None, float | None]:
            playing = self.earpiece.playing
            return playing, reached(playing) if playing is not None and playing.began_s else None

        with trio.fail_after(self.phone.patience_s):
            while True:
                utterance, at_s = place()
                if utterance is None or at_s is None:
                    await self.phone.wait_for(lambda: place()[1] is not None)
                    continue
                # It may be cut, or turn out to last longer, before the place is reached.
                with trio.move_on_at(at_s) as waiting:
                    await self.phone.wait_for(partial(self._moved, place, (utterance, at_s)))
                if waiting.cancelled_caught:
                    return utterance

    @staticmethod
    def _moved(place: Callable[[], object], was: object) -> bool:
        return place() != was

    async def answered(self) -> Utterance:
        """Listen until what was said last has been answered, and the answer was heard or cut."""
        await self.phone.wait_for(lambda: len(self.earpiece.utterances) > self._asked)
        await self.silence(_QUIET_S)
        self._asked = len(self.earpiece.utterances)
        return self.earpiece.utterances[-1]

    async def silence(self, seconds: float) -> None:
        """Wait until neither side has made a sound for so long."""
        with trio.fail_after(self.phone.patience_s):
            while True:
                playing = self.earpiece.playing
                if playing is not None:
                    await self.phone.wait_for(partial(self._settled, playing))
                    await trio.sleep_until(playing.ends_s)
                elif self.microphone.speaking:
                    await self.microphone.quiet()
                else:
                    with trio.move_on_at(trio.current_time() + seconds) as waiting:
                        await self.phone.wait_for(self._sounds)
                    if waiting.cancelled_caught:
                        return

    @staticmethod
    def _settled(utterance: Utterance) -> bool:
        return utterance.complete or utterance.cut_s is not None

    def _sounds(self) -> bool:
        return self.earpiece.playing is not None or self.microphone.speaking

    # ------------------------------------------------------------ the log

    def note(self, now_s: float, envelope: Envelope) -> None:
        """A message of the server: what of it belongs into the log."""
        self.earpiece.take(now_s, envelope)
        add = self.log.add
        match envelope.message:
            case e.TranscriptOut(is_final=True, transcript=text) if text:
                add("heard", quoted(text))
            case e.StateChanged(old=old, new=new):
                add("state", f"{old} → {new}")
            case e.StageChanged(new=stage):
                add("stage", stage)
            case e.OutputChunk(utterance_id=utterance_id) if utterance_id not in self._lines:
                self._lines[utterance_id] = add("agent", "")
            case e.OutputCancelled(utterance_id=utterance_id, reason=reason):
                add("cut", reason)
            case e.Interrupted(heard_text=text):
                add("cut", f"after {quoted(text)}" if text else "before a word was heard")
            case e.ErrorReply(case=case, message=text):
                add("error", f"{case}: {text}")
            case e.Disconnecting(reason=reason):
                add("server", f"ends the call: {reason}")
            case None if envelope.payload.get("success") is None:
                add("server", f"{envelope.event_type} {_shown(envelope.payload)}".rstrip())
            case _:
                pass

    def finish(self) -> None:
        """The call is over: what the agent said, as far as it was heard, goes into the log."""
        now_s = trio.current_time()
        for utterance in self.earpiece.utterances:
            self.earpiece.learn_words(utterance)
            line = self._lines.get(utterance.utterance_id)
            if line is not None:
                heard = utterance.heard_text(now_s)
                said = len(words_of(heard)) < len(utterance.words)
                line.text = quoted(f"{heard} …".strip() if said else heard)


def _bare(word: str) -> str:
    return word.strip(".,;:!?…\"'“”").lower()


def _shown(payload: dict[Any, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(payload.items(), key=str))
