"""Vantum: a server that holds real phone conversations.

What a program of your own needs is here: settings, a server, a client, replay. A provider of your
own implements a protocol of `vantum.ports`; `vantum.testing` has simulated providers.

Names are loaded when they are first used: `import vantum` itself costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, which takes as long to load as the interpreter
if TYPE_CHECKING:
    from typing import Any

    from vantum.client import Client, ClientError, connect
    from vantum.config import PromptSettings, Secret, Settings
    from vantum.config.load import load_settings
    from vantum.config.prompts import read_script
    from vantum.core.audio import Wav, read_wav, write_wav
    from vantum.core.events import InputOptions, Prospect
    from vantum.core.scripts import Script, Stage
    from vantum.core.variants import PromptVariant
    from vantum.errors import ConfigError, ModelsMissing, ProviderError, VantumError
    from vantum.observe.logs import configure_logs
    from vantum.providers.registry import Providers, open_providers
    from vantum.replay import Recording, Turn, load_recording, replay_turn, save_answer
    from vantum.running import open_server
    from vantum.server import Server
    from vantum.tools import Tool, ToolContext, ToolError, book_meeting, tool

    __version__: str

__all__ = [
    "Client",
    "ClientError",
    "ConfigError",
    "InputOptions",
    "ModelsMissing",
    "PromptSettings",
    "PromptVariant",
    "Prospect",
    "ProviderError",
    "Providers",
    "Recording",
    "Script",
    "Secret",
    "Server",
    "Settings",
    "Stage",
    "Tool",
    "ToolContext",
    "ToolError",
    "Turn",
    "VantumError",
    "Wav",
    "__version__",
    "book_meeting",
    "configure_logs",
    "connect",
    "load_recording",
    "load_settings",
    "open_providers",
    "open_server",
    "read_script",
    "read_wav",
    "replay_turn",
    "save_answer",
    "tool",
    "write_wav",
]

_HOMES = {
    "vantum.client": ("Client", "ClientError", "connect"),
    "vantum.config": ("PromptSettings", "Secret", "Settings"),
    "vantum.config.load": ("load_settings",),
    "vantum.config.prompts": ("read_script",),
    "vantum.core.audio": ("Wav", "read_wav", "write_wav"),
    "vantum.core.events": ("InputOptions", "Prospect"),
    "vantum.core.scripts": ("Script", "Stage"),
    "vantum.core.variants": ("PromptVariant",),
    "vantum.errors": ("ConfigError", "ModelsMissing", "ProviderError", "VantumError"),
    "vantum.observe.logs": ("configure_logs",),
    "vantum.providers.registry": ("Providers", "open_providers"),
    "vantum.replay": ("Recording", "Turn", "load_recording", "replay_turn", "save_answer"),
    "vantum.running": ("open_server",),
    "vantum.server": ("Server",),
    "vantum.tools": ("Tool", "ToolContext", "ToolError", "book_meeting", "tool"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("vantum")
    elif name in _HOME_OF:
        from importlib import import_module

        value = getattr(import_module(_HOME_OF[name]), name)
    else:
        raise AttributeError(f"module 'vantum' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
