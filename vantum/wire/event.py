"""What an event of the client protocol is: a row of `vantum.wire.events`."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

from vantum.wire.fields import Field, Vocabulary

#: client → server, server → client, or both ways.
Direction: TypeAlias = Literal["c2s", "s2c", "both"]


@frozen
class Event:
    """One event.

    `key` is its name inside this package. A name of None means that the vocabulary does not have
    the event: the server does not send it and a client that sends it gets an error. `aliases` are
    further names under which it is accepted.
    """

    key: str
    direction: Direction
    unified: str | None
    voicechat: str | None
    doc: str
    fields: tuple[Field, ...] = ()
    aliases: tuple[str, ...] = ()

    def name(self, vocabulary: Vocabulary) -> str | None:
        """Its name in a vocabulary."""
        return self.unified if vocabulary == "unified" else self.voicechat

    def fields_in(self, vocabulary: Vocabulary) -> tuple[Field, ...]:
        """Its payload in a vocabulary."""
        return tuple(field for field in self.fields if field.only in (None, vocabulary))


def same(key: str, direction: Direction, name: str, doc: str, *fields: Field) -> Event:
    """An event with one name in both vocabularies."""
    return Event(key, direction, name, name, doc, fields)
