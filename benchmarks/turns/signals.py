"""`python -m benchmarks.turns.signals [--small] [--half …]`: what a sign of a turn's end is worth.

In every pause that the ear hears, each sign is asked how complete the turn is, and judged by its
AUC: the probability that it puts the end of a turn above a pause inside one. 0.5 is worth nothing.
A policy with no other sign than one of 0.8 cannot be quick and rarely wrong, however it waits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click
import numpy as np
from attrs import frozen

from benchmarks.recordings import RATE_HZ
from benchmarks.turns.card import SETTLED
from benchmarks.turns.hearing import FRAME_S, Hearing, Models
from benchmarks.turns.items import Item, turns
from benchmarks.turns.sources import fetch, small
from vantum.core.completeness import completeness, pool
from vantum.core.messages import Transcript

_FOLDER: Final = Path.home() / ".cache" / "vantum" / "turns"
#: Silence after which the end-of-turn model is asked.
CHECKS_S: Final = (0.1, 0.2, 0.4, 0.8)
#: By then the words that were said before a pause are known.
_WORDS_S: Final = 0.3
#: Shorter pauses end no turn, whatever the signs say.
_LONG_ENOUGH_S: Final = 0.35
#: An ear's silence may begin so long before the label's, or end after it.
_SLACK_S: Final = 0.12


@frozen
class Heard:
    """A pause as the ear hears it.

    Attributes:
        is_end: of the turn; else it is inside a sentence.
        length_s: infinity at the end.
        made: some of it was inserted.
        sounds: what the end-of-turn model says after so much silence.
        text: the turn's words so far.
    """

    item: Item
    is_end: bool
    length_s: float
    made: bool
    sounds: dict[float, float]
    text: str


def pauses_heard(item: Item, models: Models) -> list[Heard]:
    """All pauses of an item but those between two sentences, and those of which nobody can say
    whether they end a turn."""
    hearing = Hearing.of(models, item.pcm, SETTLED)
    words: list[tuple[float, Transcript]] = []
    edges: list[tuple[float, bool]] = []
    while hearing.frame < hearing.frames:
        now_s = hearing.now_s + FRAME_S
        said = hearing.take_due(now_s)
        words += [(now_s, event) for event in said if isinstance(event, Transcript)]
        edges += [(now_s - edge.late_s, edge.speaking) for edge in hearing.step()]
    found = []
    for number, (quiet_s, speaking) in enumerate(edges):
        if speaking:
            continue
        next_s = edges[number + 1][0] if number + 1 < len(edges) else math.inf
        kind = _kind(item, quiet_s, next_s)
        if kind is None:
            continue
        is_end, made = kind
        places = {s: int((quiet_s + s) * RATE_HZ) for s in CHECKS_S}
        sounds = {
            silence_s: models.complete(hearing.key, item.pcm, place)
            for silence_s, place in places.items()
            if quiet_s + silence_s <= next_s and 2 * place <= len(item.pcm)
        }
        length_s = math.inf if is_end else next_s - quiet_s
        text = _text(words, quiet_s + _WORDS_S)
        found.append(Heard(item, is_end, length_s, made, sounds, text))
    return found


def _kind(item: Item, quiet_s: float, next_s: float) -> tuple[bool, bool] | None:
    """Whether it is the turn's end, and whether it was made longer; None: it does not count."""
    if quiet_s >= item.end_s - _SLACK_S or next_s >= item.end_s - _SLACK_S / 2:
        return None if item.role == "talk" or next_s < math.inf else (True, False)
    near = [p for p in item.pauses if p.start_s - 2 * _SLACK_S <= quiet_s <= p.end_s]
    if near and near[-1].between:
        return None
    return False, bool(near and near[-1].made_s)


def _text(words: Sequence[tuple[float, Transcript]], by_s: float) -> str:
    final, interim = "", ""
    for at_s, transcript in words:
        if at_s <= by_s and transcript.is_final:
            final, interim = f"{final} {transcript.text}", ""
        elif at_s <= by_s:
            interim = transcript.text
    return f"{final} {interim}".strip()


# ---------------------------------------------------------------- what they are worth


Sign = Callable[[Heard], float | None]


def _sounds(silence_s: float) -> Sign:
    return lambda heard: heard.sounds.get(silence_s)


def _reads(heard: Heard) -> float | None:
    return completeness(heard.text) if heard.text else None


def _punctuation(heard: Heard) -> float | None:
    return float(heard.text.endswith((".", "?", "!"))) if heard.text else None


SIGNS: Final[dict[str, Sign]] = {
    **{f"end-of-turn model after {1000 * s:.0f} ms of silence": _sounds(s) for s in CHECKS_S},
    "words, by rules": _reads,
    "the recogniser's full stop": _punctuation,
    "model and words, pooled": lambda heard: pool(heard.sounds.get(CHECKS_S[0]), _reads(heard)),
}


def auc(ends: Sequence[float], pauses: Sequence[float]) -> float:
    """The probability that an end has more than a pause, ties half (Mann and Whitney 1947); NaN of
    nothing."""
    if not ends or not pauses:
        return math.nan
    above = np.subtract.outer(np.array(ends), np.array(pauses))
    return float((above > 0).mean() + (above == 0).mean() / 2)


def table(found: Sequence[Heard]) -> str:
    """What each sign is worth, against which pauses."""
    ends = [h for h in found if h.is_end]
    inner = [h for h in found if not h.is_end and h.length_s >= _LONG_ENOUGH_S]
    parts = {
        "all": inner,
        "as recorded": [h for h in inner if not h.made],
        "made longer": [h for h in inner if h.made],
        "from 800 ms on": [h for h in inner if h.length_s >= 0.8],
    }
    heads = " | ".join(f"{title} ({len(part)})" for title, part in parts.items())
    rows = [f"| sign, against inner pauses | {heads} |", "|---" * (len(parts) + 1) + "|"]
    for title, sign in SIGNS.items():
        own = [value for h in ends if (value := sign(h)) is not None]
        cells = []
        for part in parts.values():
            others = [value for h in part if (value := sign(h)) is not None]
            cells.append(f"{auc(own, others):.2f}")
        rows.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(rows)


def origins(found: Sequence[Heard]) -> str:
    """How sure the end-of-turn model is, by where the voices are from."""
    sign = _sounds(CHECKS_S[0])
    rows = [
        "| voices | ends | sound complete | inner pauses | sound complete | AUC |",
        "|---|---|---|---|---|---|",
    ]
    for origin in dict.fromkeys(h.item.origin for h in found):
        own = [h for h in found if h.item.origin == origin]
        values: dict[bool, list[float]] = {True: [], False: []}
        for h in own:
            value = sign(h)
            if value is not None and h.length_s >= _LONG_ENOUGH_S:
                values[h.is_end].append(value)
        shares = {
            end: f"{sum(v > 0.5 for v in each) / len(each):.0%}" if each else "–"
            for end, each in values.items()
        }
        rows.append(
            f"| {origin} | {len(values[True])} | {shares[True]} | {len(values[False])} "
            f"| {shares[False]} | {auc(values[True], values[False]):.2f} |"
        )
    return "\n".join(rows)


@click.command()
@click.option("--small", "is_small", is_flag=True, help="What is in the repository; no network.")
@click.option("--half", type=click.Choice(["test", "train", "all"]), default="test")
@click.option("--folder", type=click.Path(path_type=Path), default=_FOLDER, show_default=True)
def main(is_small: bool, half: str, folder: Path) -> None:
    """What each sign of a turn's end is worth on recorded voices."""
    folder.mkdir(parents=True, exist_ok=True)
    say = lambda line: click.echo(line, err=True)  # noqa: E731
    models = Models.load(folder / ("said-small.pkl" if is_small else "said.pkl"))
    found = []
    for item in turns(small() if is_small else fetch(folder, say)):
        if half == "all" or item.is_test == (half == "test"):
            found += pauses_heard(item, models)
    models.save()
    print(f"{table(found)}\n\n{origins(found)}")


if __name__ == "__main__":
    main()
