"""Turn-taking's settings: in order, and as the policy wants them."""

import pytest

from vantum.config import TurnSettings
from vantum.config.load import load_settings
from vantum.core.bargein import BargeInOptions
from vantum.core.endpointing import EndpointingOptions
from vantum.errors import ConfigError


def test_the_defaults_are_the_policys_own() -> None:
    assert TurnSettings().endpointing(has_detector=False) == EndpointingOptions()
    chosen = TurnSettings(adapt=False, max_wait_ms=1500, read_words=False)
    assert chosen.endpointing(has_detector=True) == EndpointingOptions(
        max_wait_s=1.5, has_detector=True, reads_words=False, adapts=False
    )


def test_interruption_is_the_policys_own_too() -> None:
    assert TurnSettings().bargein() == BargeInOptions()
    chosen = TurnSettings(backchannels=" Mhm | |I see ", barge_in="words", false_stop_ms=2000)
    assert chosen.bargein() == BargeInOptions(
        mode="words", backchannels=frozenset(("Mhm", "I see")), false_stop_s=2.0
    )


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"TURN_MIN_WAIT": "1500"}, r"turns.silence_ms=1200 \(default\): must be at least"),
        ({"TURN_SILENCE": "3000"}, r"turns.max_wait_ms=2200 .*turns.silence_ms=3000 \(environment"),
        ({"TURN_MAX_WAIT": "9000"}, r"turns.deadline_ms=8000 .* turns.max_wait_ms=9000"),
    ],
)
def test_waits_out_of_order_stop_the_start(env: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_settings(env, None)


def test_reprompts_are_divided_by_bars() -> None:
    assert TurnSettings().reprompt_texts == ("Are you still there?", "Hello? Can you hear me?")
    assert TurnSettings(reprompts=" One? | |Two? ").reprompt_texts == ("One?", "Two?")
    assert TurnSettings(reprompts="").reprompt_texts == ()
