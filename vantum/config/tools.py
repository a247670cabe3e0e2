"""Settings of the tools that the model may call."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from vantum.config.base import setting

#: What the agent can do on the phone.
PHONE_TOOLS: Final = ("send_digits", "transfer", "schedule_callback", "do_not_call")


def parse_phone_tools(text: str) -> tuple[str, ...]:
    """Names out of `PHONE_TOOLS`. Raises ValueError if there are others."""
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if set(names) - {*PHONE_TOOLS, "auto"} or ("auto" in names and len(names) > 1):
        raise ValueError(f"must be auto or of {', '.join(PHONE_TOOLS)}")
    return names


@frozen
class ToolSettings:
    """What the model may call, and how long that may take."""

    built_in: str = setting(
        "auto",
        "Which of the built-in tools are offered, comma-separated (`end_call`, `remember`); empty: "
        "none; `auto`: all, with OpenAI itself or beside tools of your own (not every other server "
        "takes tools).",
        env="TOOLS_BUILT_IN",
    )
    phone: str = setting(
        "auto",
        "Which tools the agent has in a phone call besides, comma-separated (`send_digits`, "
        "`transfer`, `schedule_callback`, `do_not_call`); empty: none; `auto`: all that can work "
        "with these settings, wherever the built-in ones are offered by `auto`.",
        env="TOOLS_PHONE",
        form="phone_tools",
    )
    load: str = setting(
        "",
        "Tools of your own, comma-separated: `module:attribute`, where the attribute is a tool or "
        "a list of tools.",
        env="TOOLS",
    )
    timeout_ms: int = setting(
        10_000,
        "How long a tool may take that says nothing of it, further attempts included.",
        env="TOOLS_TIMEOUT",
        low=100,
        high=600_000,
    )
    retries: int = setting(
        2, "Further attempts at an idempotent tool that fails.", env="TOOLS_RETRIES", low=0, high=10
    )
    max_rounds: int = setting(
        5,
        "How often within one answer the model may ask for tools; then it must speak.",
        env="TOOLS_MAX_ROUNDS",
        low=1,
        high=50,
    )
    filler_after_ms: int = setting(
        800,
        "When a tool takes longer, and nothing is being said for so long, a filler is spoken.",
        env="TOOLS_FILLER_AFTER",
        low=0,
        high=60_000,
    )
    filler: str = setting(
        "One moment, please.",
        "The filler of a tool that has none of its own; empty: none.",
        env="TOOLS_FILLER",
    )
    max_threads: int = setting(
        20,
        "Blocking tools that run at once in the whole server; more of them wait.",
        env="TOOLS_MAX_THREADS",
        low=1,
        high=1000,
    )

    @property
    def built_in_names(self) -> tuple[str, ...] | None:
        """In order; None for `auto`."""
        if self.built_in.strip().lower() == "auto":
            return None
        return tuple(name for part in self.built_in.split(",") if (name := part.strip()))

    @property
    def phone_names(self) -> tuple[str, ...] | None:
        """In order; None for `auto`."""
        if self.phone.strip().lower() == "auto":
            return None
        return parse_phone_tools(self.phone)

    @property
    def load_paths(self) -> tuple[str, ...]:
        """In order."""
        return tuple(path for part in self.load.split(",") if (path := part.strip()))
