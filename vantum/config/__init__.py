"""The settings: frozen, read once from a TOML file and the environment.

Each field says its environment name (or none: then it can only be set in the file), its default,
what is allowed and what it means; `vantum.config.load` reads, checks and prints them, and the
settings reference is generated from them.
"""

from __future__ import annotations

import attrs
from attrs import frozen

from vantum.config.base import Secret
from vantum.config.call import (
    LlmSettings,
    LogSettings,
    PlayoutSettings,
    ServerSettings,
    SessionSettings,
    StreamingSettings,
    SttSettings,
    TtsSettings,
)
from vantum.config.compliance import ComplianceSettings
from vantum.config.prices import PriceSettings
from vantum.config.prompts import PromptSettings
from vantum.config.providers import (
    CartesiaSettings,
    DeepgramSettings,
    LocalSettings,
    OpenAISettings,
)
from vantum.config.speculation import SpeculationSettings
from vantum.config.storage import StorageSettings
from vantum.config.telephony import TwilioSettings
from vantum.config.tools import ToolSettings
from vantum.config.transfer import TransferSettings
from vantum.config.turns import TurnSettings

__all__ = [
    "CartesiaSettings",
    "ComplianceSettings",
    "DeepgramSettings",
    "LlmSettings",
    "LocalSettings",
    "LogSettings",
    "OpenAISettings",
    "PlayoutSettings",
    "PriceSettings",
    "PromptSettings",
    "Secret",
    "ServerSettings",
    "SessionSettings",
    "Settings",
    "SpeculationSettings",
    "StorageSettings",
    "StreamingSettings",
    "SttSettings",
    "ToolSettings",
    "TransferSettings",
    "TtsSettings",
    "TurnSettings",
    "TwilioSettings",
]


@frozen
class Settings:
    """All settings; each attribute is a table of the file."""

    server: ServerSettings = attrs.Factory(ServerSettings)
    session: SessionSettings = attrs.Factory(SessionSettings)
    turns: TurnSettings = attrs.Factory(TurnSettings)
    speculation: SpeculationSettings = attrs.Factory(SpeculationSettings)
    playout: PlayoutSettings = attrs.Factory(PlayoutSettings)
    streaming: StreamingSettings = attrs.Factory(StreamingSettings)
    stt: SttSettings = attrs.Factory(SttSettings)
    llm: LlmSettings = attrs.Factory(LlmSettings)
    tools: ToolSettings = attrs.Factory(ToolSettings)
    prompts: PromptSettings = attrs.Factory(PromptSettings)
    tts: TtsSettings = attrs.Factory(TtsSettings)
    deepgram: DeepgramSettings = attrs.Factory(DeepgramSettings)
    openai: OpenAISettings = attrs.Factory(OpenAISettings)
    cartesia: CartesiaSettings = attrs.Factory(CartesiaSettings)
    local: LocalSettings = attrs.Factory(LocalSettings)
    storage: StorageSettings = attrs.Factory(StorageSettings)
    compliance: ComplianceSettings = attrs.Factory(ComplianceSettings)
    twilio: TwilioSettings = attrs.Factory(TwilioSettings)
    transfer: TransferSettings = attrs.Factory(TransferSettings)
    prices: PriceSettings = attrs.Factory(PriceSettings)
    log: LogSettings = attrs.Factory(LogSettings)
