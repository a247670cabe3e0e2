"""TwiML: the part of it that the simulated Twilio carries out, as values. Pure.

Source: "TwiML for Programmable Voice", https://www.twilio.com/docs/voice/twiml and the pages of
each verb below it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import field, frozen

__all__ = [
    "BadTwiml",
    "Conference",
    "Dial",
    "Gather",
    "Hangup",
    "Number",
    "Pause",
    "PlayDigits",
    "PlayUrl",
    "Redirect",
    "Reject",
    "Say",
    "Stream",
    "Verb",
    "parse",
]


class BadTwiml(Exception):
    """The document is none that can be carried out. `code`: Twilio's number for it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@frozen
class Say:
    """Read a text aloud, `loop` times (0: for ever)."""

    text: str
    loop: int = 1


@frozen
class PlayDigits:
    """Press keys to the other side; `w`: half a second of silence."""

    digits: str


@frozen
class PlayUrl:
    """Play a WAV file, `loop` times (0: for ever)."""

    url: str
    loop: int = 1


@frozen
class Pause:
    """Silence."""

    seconds: float = 1.0


@frozen
class Hangup:
    """End the call."""


@frozen
class Reject:
    """Do not answer the call: as the first verb only."""

    reason: str = "rejected"


@frozen
class Redirect:
    """Go on with another document."""

    url: str
    method: str = "POST"


@frozen
class Stream:
    """`<Connect><Stream>`: a media stream both ways, until one side closes it."""

    url: str
    name: str = ""
    parameters: Mapping[str, str] = field(factory=dict, hash=False)
    status_url: str = ""
    status_method: str = "POST"
    action: str | None = None
    method: str = "POST"


@frozen
class Gather:
    """Collect keys, with something to be heard meanwhile."""

    prompts: tuple[Verb, ...] = ()
    digits: int = 0  # 0: as many as come
    timeout_s: float = 5.0
    finish_on_key: str = "#"
    action: str | None = None
    method: str = "POST"
    action_on_empty: bool = False


@frozen
class Number:
    """A number to dial. `url`: TwiML for the one who answers, before the two are connected."""

    number: str
    send_digits: str = ""
    url: str = ""
    method: str = "POST"
    status_url: str = ""
    status_method: str = "POST"
    status_events: tuple[str, ...] = ("completed",)


@frozen
class Conference:
    """A room that several calls are in."""

    name: str
    muted: bool = False
    start_on_enter: bool = True
    end_on_exit: bool = False
    status_url: str = ""
    status_method: str = "POST"
    status_events: tuple[str, ...] = ()


@frozen
class Dial:
    """Connect the call with other parties: numbers, all rung at once, or a conference."""

    to: tuple[Number, ...] | Conference
    action: str | None = None
    method: str = "POST"
    timeout_s: float = 30.0
    time_limit_s: float = 14_400.0
    caller_id: str = ""
    hangup_on_star: bool = False
    answer_on_bridge: bool = False


Verb: TypeAlias = (
    Say | PlayDigits | PlayUrl | Pause | Hangup | Reject | Redirect | Stream | Gather | Dial
)

#: Name and value of a stream's parameter are shorter together.
_PARAMETER_CHARS: Final = 500
_STATUS_EVENTS: Final = {"initiated", "ringing", "answered", "completed"}


def parse(document: str | bytes) -> tuple[Verb, ...]:
    """Read a document.

    Raises:
        BadTwiml: 12100: it is no XML; 12200: it is, but not TwiML that is known here; 13223: no
            number to dial; 31922, 31941: of a stream.
    """
    try:
        root = ET.fromstring(document)  # noqa: S314 (a test server's own answer)
    except (ET.ParseError, ValueError) as error:
        raise BadTwiml(12100, f"Document parse failure: {error}") from None
    if root.tag != "Response":
        raise BadTwiml(12200, f"Schema validation: the root is <{root.tag}>, not <Response>")
    return tuple(_verb(element) for element in root)


def _verb(element: ET.Element) -> Verb:
    match element.tag:
        case "Say":
            return Say("".join(element.itertext()).strip(), _whole(element, "loop", 1))
        case "Play":
            if digits := element.get("digits", ""):
                if set(digits) - set("0123456789*#ABCDw"):
                    raise BadTwiml(12200, f"Schema validation: <Play> has the digits {digits!r}")
                return PlayDigits(digits)
            return PlayUrl(_text(element, 12200), _whole(element, "loop", 1))
        case "Pause":
            return Pause(_seconds(element, "length", 1.0))
        case "Hangup":
            return Hangup()
        case "Reject":
            return Reject(element.get("reason", "rejected"))
        case "Redirect":
            return Redirect(_text(element, 12200), _method(element))
        case "Connect":
            return _connect(element)
        case "Gather":
            return _gather(element)
        case "Dial":
            return _dial(element)
        case tag:
            raise BadTwiml(12200, f"Schema validation: <{tag}> is not known to the simulation")


def _connect(element: ET.Element) -> Stream:
    streams = list(element)
    if len(streams) != 1 or streams[0].tag != "Stream":
        raise BadTwiml(12200, "Schema validation: <Connect> must hold one <Stream>")
    (stream,) = streams
    url = stream.get("url", "")
    if not url.startswith(("ws://", "wss://")):
        # Twilio itself takes wss:// only; a simulation on one machine needs no certificate.
        raise BadTwiml(31922, f"Stream - WebSocket - URL Schema Not Supported: {url!r}")
    if (track := stream.get("track", "inbound_track")) != "inbound_track":
        raise BadTwiml(31941, f"Stream - Invalid Track configuration: {track!r} with <Connect>")
    if "?" in url:
        # Twilio does not pass it on: whoever relies on it should see that here.
        url = url.partition("?")[0]
    parameters = {}
    for parameter in stream:
        name, value = parameter.get("name", ""), parameter.get("value", "")
        if len(name) + len(value) >= _PARAMETER_CHARS:
            limit = f"not under {_PARAMETER_CHARS} characters"
            raise BadTwiml(12200, f"Schema validation: <Parameter> {name!r} is {limit}")
        parameters[name] = value
    return Stream(
        url,
        stream.get("name", ""),
        parameters,
        stream.get("statusCallback", ""),
        _method(stream, "statusCallbackMethod"),
        element.get("action"),
        _method(element),
    )


def _gather(element: ET.Element) -> Gather:
    prompts = tuple(_verb(child) for child in element)
    if not all(isinstance(prompt, Say | PlayUrl | Pause) for prompt in prompts):
        raise BadTwiml(12200, "Schema validation: <Gather> holds <Say>, <Play> and <Pause> only")
    if element.get("input", "dtmf") != "dtmf":
        raise BadTwiml(12200, "<Gather>: the simulation hears keys only (input=dtmf)")
    return Gather(
        prompts,
        _whole(element, "numDigits", 0),
        _seconds(element, "timeout", 5.0),
        element.get("finishOnKey", "#"),
        element.get("action"),
        _method(element),
        _flag(element, "actionOnEmptyResult", False),
    )


def _dial(element: ET.Element) -> Dial:
    nouns = list(element)
    to: tuple[Number, ...] | Conference
    if nouns and nouns[0].tag == "Conference":
        (room, *_) = nouns
        to = Conference(
            _text(room, 12200),
            _flag(room, "muted", False),
            _flag(room, "startConferenceOnEnter", True),
            _flag(room, "endConferenceOnExit", False),
            room.get("statusCallback", ""),
            _method(room, "statusCallbackMethod"),
            tuple(room.get("statusCallbackEvent", "").split()),
        )
    elif nouns:
        to = tuple(_number(noun) for noun in nouns)
    else:
        to = (Number(_text(element, 13223)),)
    return Dial(
        to,
        element.get("action"),
        _method(element),
        _seconds(element, "timeout", 30.0),
        _seconds(element, "timeLimit", 14_400.0),
        element.get("callerId", ""),
        _flag(element, "hangupOnStar", False),
        _flag(element, "answerOnBridge", False),
    )


def _number(noun: ET.Element) -> Number:
    if noun.tag != "Number":
        raise BadTwiml(12200, f"Schema validation: <Dial><{noun.tag}> is not known here")
    events = tuple(noun.get("statusCallbackEvent", "completed").split())
    if set(events) - _STATUS_EVENTS:
        raise BadTwiml(12200, f"Schema validation: statusCallbackEvent is {' '.join(events)!r}")
    return Number(
        _text(noun, 13223),
        noun.get("sendDigits", ""),
        noun.get("url", ""),
        _method(noun),
        noun.get("statusCallback", ""),
        _method(noun, "statusCallbackMethod"),
        events,
    )


# ---------------------------------------------------------------- attributes


def _text(element: ET.Element, code: int) -> str:
    if text := (element.text or "").strip():
        return text
    raise BadTwiml(code, f"<{element.tag}> is empty")


def _method(element: ET.Element, name: str = "method") -> str:
    value = element.get(name, "POST").upper()
    if value not in ("GET", "POST"):
        raise BadTwiml(12200, f"Schema validation: {name} is {value!r}, not GET or POST")
    return value


def _whole(element: ET.Element, name: str, default: int) -> int:
    value = element.get(name, str(default))
    if not value.isdigit():
        raise BadTwiml(12200, f"Schema validation: {name} is {value!r}, not a whole number")
    return int(value)


def _seconds(element: ET.Element, name: str, default: float) -> float:
    return float(_whole(element, name, round(default)))


def _flag(element: ET.Element, name: str, default: bool) -> bool:
    value = element.get(name, str(default)).lower()
    if value not in ("true", "false"):
        raise BadTwiml(12200, f"Schema validation: {name} is {value!r}, not true or false")
    return value == "true"
