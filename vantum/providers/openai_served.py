"""The model behind OpenAI's address: what it has told of itself since the start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from vantum.observe.logs import get_log
from vantum.providers.openai_terms import Terms

if TYPE_CHECKING:
    import openai

_log = get_log("openai")

#: As `shutdown_date` of a model is.
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@define
class ServedModel:
    """`name`: as in the settings. `terms`: how it is asked."""

    name: str
    terms: Terms
    _will_end: bool = field(default=False, init=False)

    def learn(self, terms: Terms, body: dict[str, Any], error: openai.OpenAIError) -> bool:
        """Whether a refusal says what of a request in these terms was too much. If so, the next one
        is without it: another answer may have learned something else meanwhile."""
        import openai

        if not isinstance(error, openai.APIStatusError):
            return False
        refused = error.status_code, error.body
        if terms.after(body, *refused) == terms:
            return False
        known, self.terms = self.terms, self.terms.after(body, *refused)
        if self.terms != known:
            _log.warning(
                "the model does not take all settings",
                model=self.name,
                left_out=sorted(self.terms.without),
                reasoning_effort=self.terms.effort or "its own",
            )
        return True

    def described(self, shutdown_date: object) -> None:
        """Its description has come: OpenAI tells in it when a model will be no more. Say so once.

        Source: "Deprecations", https://developers.openai.com/api/docs/deprecations.
        """
        date = shutdown_date if isinstance(shutdown_date, str) else ""
        if self._will_end or not _DATE.fullmatch(date):
            return
        self._will_end = True
        _log.warning(
            "the model will be shut down: set LLM_MODEL to another", model=self.name, on=date
        )
