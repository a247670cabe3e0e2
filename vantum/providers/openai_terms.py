"""What a server and its model do not take of a request, learned from their refusals.

Pure: no I/O, no clock.

Models differ in what they take, and names do not tell: those that reason may refuse `temperature`,
`top_p` and penalties, and some take functions from chat completions only with
`reasoning_effort: "none"`; gateways may know one name of the longest answer only. A refusal says
what it is about: status 400 and the parameter's name in `param`, with `code` "unsupported_value" or
"unsupported_parameter" (for `reasoning_effort` and functions none). So nothing is guessed from the
model's name. What was refused is left out from then on, and an answer waits for that once.

Source: the errors themselves, as many quote them: docs/reference/providers-facts.md; "Reasoning
models", https://developers.openai.com/api/docs/guides/reasoning; the package's types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen

#: An answer can do without these.
_DISPENSABLE: Final = frozenset(
    {
        "temperature",
        "top_p",
        "frequency_penalty",
        "presence_penalty",
        "prompt_cache_key",
        "stream_options",
    }
)
#: The longest answer has two names.
LIMITS: Final = ("max_completion_tokens", "max_tokens")
_UNSUPPORTED: Final = frozenset({"unsupported_value", "unsupported_parameter"})


@frozen
class Terms:
    """What requests to a server and its model look like.

    Args:
        limit: the name of the longest answer: one of `LIMITS`.
        effort: `reasoning_effort`; empty: it is not sent.
        renamed: `limit` is not the first name that was tried: there is no third.
        without: parameters that are not sent.
    """

    limit: str
    effort: str = ""
    renamed: bool = False
    without: frozenset[str] = frozenset()

    def applied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request's body in these terms; in it the longest answer is `max_tokens`."""
        said = {name: value for name, value in body.items() if name not in self.without}
        said[self.limit] = said.pop("max_tokens")
        if self.effort:
            said["reasoning_effort"] = self.effort
        return said

    def after(self, body: Mapping[str, Any], status: int, error: Any) -> Terms:
        """The terms once `body` was refused so: the same ones if there is nothing to learn.

        Args:
            body: what was sent.
            status: the HTTP status.
            error: the decoded JSON's `error` object, or anything.
        """
        if status != 400 or not isinstance(error, Mapping):
            return self
        name, unsupported = error.get("param"), error.get("code") in _UNSUPPORTED
        match name:
            case "reasoning_effort" if name not in body:
                return evolve(self, effort="none")
            case str() if unsupported and name in body and name in _DISPENSABLE:
                return evolve(self, without=self.without | {name})
            case str() if unsupported and name in body and name in LIMITS and not self.renamed:
                (other,) = set(LIMITS) - {name}
                return evolve(self, limit=other, renamed=True)
            case _:
                return self
