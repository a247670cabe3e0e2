"""The simulated Deepgram's recognition: what it hears becomes Deepgram's messages. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from attrs import Factory, define

from vantum.core.audio import Encoding, mulaw_decode
from vantum.testing.deepgram_loudness import Loudness
from vantum.testing.deepgram_script import (
    DeepgramScript,
    Heard,
    InAudio,
    Nothing,
    Source,
    Timed,
    Utterance,
)

#: What stays open behind a long stretch that is made final, for the words of the next `Finalize`.
_LEFT_S = 0.5

#: What it understands, of what Deepgram does.
ENCODINGS: Final = ("linear16", "mulaw")

#: Of all keyterms; a word counts as one.
_MOST_KEYTERM_TOKENS: Final = 500

#: A message as it will be encoded.
Body: TypeAlias = dict[str, Any]


def can_configure(wanted: dict[str, Any]) -> bool:
    """Whether a `Configure` is of its form."""
    keyterms, features = wanted.get("keyterms") or [], wanted.get("features") or {}
    return (
        isinstance(keyterms, list)
        and all(isinstance(each, str) for each in keyterms)
        and isinstance(features, dict)
        and all(isinstance(each, bool) for each in features.values())
    )


@define
class Listener:
    """One connection's recognition: audio and control messages in, Deepgram's messages out.

    Times go by the audio received. `query`: the connection's, with the last value of each name.
    `tells_silence`: interim results come without words, too, as Deepgram's do. `keyterms` and
    `features`: what `Configure` has set.
    """

    script: DeepgramScript
    query: dict[str, str]
    utterances: Iterator[Utterance]
    request_id: str
    tells_silence: bool = True
    keyterms: list[str] = Factory(list)
    features: dict[str, bool] = Factory(dict)
    received: int = 0
    _source: Source = Factory(Nothing)
    _rate: int = 16_000
    _step: int = 1600
    _endpointing: str = "10"
    _tells_interims: bool = False
    _segment: int = 0  # start of the stretch that is not final yet
    _reported: int = 0  # how far the last interim result went
    _words: list[Heard] = Factory(list)
    _voice: bool = False  # words since the last speech_final
    _quiet_since: int = 0  # end of the last word
    _last_word_end: int | None = None  # of a final word without its UtteranceEnd

    def __attrs_post_init__(self) -> None:
        self._rate = int(self.query.get("sample_rate", "16000"))
        self._step = self._rate // 10
        self._endpointing = self.query.get("endpointing", "10")
        self._tells_interims = self._on("interim_results")
        if self.script.source is not None:
            self._source = self.script.source(self._rate)
            return
        match self.script.speech:
            case "timed":
                self._source = Timed(self.script, self.utterances, self._rate)
            case "loud":
                self._source = Loudness(self.utterances, self._rate)
            case "in_audio":
                self._source = InAudio(self.script, self._rate, self._encoding)

    def configure(self, wanted: dict[str, Any]) -> Body:
        """The answer to a `Configure`. What it changes is noted: the script is heard as it is."""
        keyterms, features = wanted.get("keyterms"), wanted.get("features")
        if keyterms is not None:
            if not self.query.get("model", "").startswith("nova-3"):
                text = "Only Nova-3 models take keyterms in mid-stream."
                return self._refused("CONFIGURE_KEYTERMS_NOT_SUPPORTED", text)
            if len(" ".join(keyterms).split()) > _MOST_KEYTERM_TOKENS:
                text = f"The keyterms exceed {_MOST_KEYTERM_TOKENS} tokens."
                return self._refused("CONFIGURE_KEYTERM_LIMIT_EXCEEDED", text)
            self.keyterms = list(keyterms)
        self.features |= features or {}
        told = {} if keyterms is None else {"keyterms": self.keyterms}
        return {"type": "ConfigureSuccess", "request_id": self.request_id, **told}

    def _refused(self, code: str, text: str) -> Body:
        about = {"request_id": self.request_id, "code": code, "description": text}
        return {"type": "ConfigureFailure", **about}

    def _on(self, name: str) -> bool:
        return self.query.get(name) == "true"

    @property
    def _encoding(self) -> Encoding:
        return "mulaw" if self.query.get("encoding") == "mulaw" else "pcm"

    @property
    def received_s(self) -> float:
        """Audio so far, in seconds."""
        return self.received / self._rate

    def length_s(self, data: bytes) -> float:
        """How long the audio of a message plays."""
        return len(data) / (1 if self._encoding == "mulaw" else 2) / self._rate

    def audio(self, data: bytes) -> list[Body]:
        """Audio of any length, encoded as the query says; long messages are heard in steps of
        100 ms."""
        pcm = mulaw_decode(data) if self._encoding == "mulaw" else data
        messages: list[Body] = []
        for at in range(0, len(pcm), 2 * self._step):
            messages += self._hear(pcm[at : at + 2 * self._step])
        return messages

    def _hear(self, pcm: bytes) -> list[Body]:
        start = self.received
        received = self.received = start + len(pcm) // 2
        self._words += self._source.hear(pcm, start, received)
        partial = self._source.partial
        messages: list[Body] = []
        speaking = partial or (self._words[-1] if self._words else None)
        if speaking and not self._voice:
            self._voice = True
            if self._on("vad_events"):
                at_s = max(speaking.start, self._segment) / self._rate
                messages.append({"type": "SpeechStarted", "channel": [0, 1], "timestamp": at_s})
        if speaking:
            self._quiet_since = speaking.end
        if self._voice and not partial and self._endpointing != "false":
            quiet = received - self._quiet_since
            if quiet * 1000 >= int(self._endpointing) * self._rate:
                return [*messages, self._final(received, speech_final=True)]
        is_long = received - self._segment >= self.script.final_every_s * self._rate
        if is_long:
            messages.append(self._final(partial.start if partial else self._settled))
        elif self._tells_interims and (
            received - self._reported >= self.script.interim_every_s * self._rate
        ):
            self._reported = received
            shown = [*self._words, *([partial] if partial and partial.clear else [])]
            if shown or self.tells_silence:
                messages.append(self._results(shown, received, is_final=False))
        if self._last_word_end is not None:
            messages += self._utterance_end(partial)
        return messages

    @property
    def _settled(self) -> int:
        """Up to here a long stretch without words is made final: what is placed by `Finalize`
        needs some audio before it."""
        if self.script.speech == "on_finalize":
            return self.received - round(_LEFT_S * self._rate)
        return self.received

    def _utterance_end(self, partial: Heard | None) -> list[Body]:
        gap_ms = self.query.get("utterance_end_ms")
        end = self._last_word_end
        if gap_ms is None or end is None or self._words or partial:
            return []
        if (self.received - end) * 1000 < int(gap_ms) * self._rate:
            return []
        self._last_word_end = None
        last_s = end / self._rate
        return [{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last_s}]

    def finalize(self) -> list[Body]:
        """`Finalize`: what is buffered becomes final; too little of it is answered by nothing."""
        if self.script.speech == "on_finalize" and self.received > self._segment:
            self._words = self._spread(next(self.utterances, Utterance(())))
        elif self.received - self._segment < self.script.least_finalize_s * self._rate:
            if isinstance(self._source, Loudness):
                # What comes next is the next sentence all the same.
                self._words += self._source.finish()
            if not (isinstance(self._source, Loudness) and self._words):
                return []
        self._words += self._source.finish()
        return [self._final(self.received, speech_final=True, from_finalize=True)]

    def close_stream(self, created: str) -> list[Body]:
        """`CloseStream`: the last words, and the summary."""
        self._words += self._source.finish()
        last = [self._final(self.received, speech_final=True)] if self._words else []
        summary = {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self.request_id,
            "sha256": "0" * 64,
            "created": created,
            "duration": self.received_s,
            "channels": 1,
        }
        return [*last, summary]

    def _spread(self, utterance: Utterance) -> list[Heard]:
        """The words, evenly over the audio that is not final yet."""
        count = max(1, len(utterance.words))
        each = (self.received - self._segment) / count
        return [
            Heard(
                word.text,
                round(self._segment + n * each),
                round(self._segment + (n + 0.9) * each),
                word.confidence,
            )
            for n, word in enumerate(utterance.words)
        ]

    def _final(self, end: int, *, speech_final: bool = False, from_finalize: bool = False) -> Body:
        end = max(end, self._segment)
        message = self._results(
            self._words, end, is_final=True, speech_final=speech_final, from_finalize=from_finalize
        )
        if self._words:
            self._last_word_end = self._words[-1].end
        self._words = []
        self._segment = self._reported = end
        if speech_final:
            self._voice = False
        return message

    def _results(
        self,
        words: list[Heard],
        end: int,
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> Body:
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": self._segment / self._rate,
            "duration": (end - self._segment) / self._rate,
            "is_final": is_final,
            "speech_final": speech_final,
            "from_finalize": from_finalize,
            "channel": {
                "alternatives": [
                    {
                        "transcript": " ".join(word.text for word in words),
                        "confidence": min((word.confidence for word in words), default=0.0),
                        "words": [self._word(word) for word in words],
                    }
                ]
            },
            "metadata": {
                "request_id": self.request_id,
                "model_info": {"name": self.query.get("model", ""), "version": "", "arch": ""},
                "model_uuid": "00000000-0000-0000-0000-000000000000",
            },
        }

    def _word(self, word: Heard) -> Body:
        return {
            "word": word.text.strip(".,!?").lower(),
            "start": word.start / self._rate,
            "end": word.end / self._rate,
            "confidence": word.confidence,
            "punctuated_word": word.text,
        }
