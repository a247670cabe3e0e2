"""How far behind Deepgram is."""

from __future__ import annotations

import pytest

from vantum.providers.deepgram.pace import Pace


def test_audio_in_real_time_is_not_behind() -> None:
    pace = Pace()
    for n in range(1000):
        pace.sent(0.02, n * 0.02)
        assert pace.behind_s(n * 0.02) == 0
    pace.sent(0.3, 20.0)  # what gathered while the socket was busy
    assert pace.behind_s(20.0) == 0
    assert pace.answer_s(1.0, 20.0, silent=False) == 1.0


def test_what_is_sent_at_once_is_caught_up_with_at_a_quarter_of_a_second_a_second() -> None:
    pace = Pace()
    pace.sent(5.0, 10.0)
    assert pace.behind_s(10.0) == pytest.approx(4.0)
    for n in range(100):
        pace.sent(0.02, 10.0 + n * 0.02)
    assert pace.behind_s(12.0) == pytest.approx((5.0 - 0.25 * 2.0) / 1.25)
    assert pace.answer_s(1.0, 12.0, silent=False) == pytest.approx(4.6)
    assert pace.behind_s(16.0) == 0, "nothing was sent: it has heard it all"


def test_silence_is_not_waited_for_and_nothing_for_ever() -> None:
    pace = Pace()
    pace.sent(100.0, 0.0)
    assert pace.answer_s(1.0, 0.0, silent=True) == 0.25
    assert pace.answer_s(0.1, 0.0, silent=True) == 0.1
    assert pace.answer_s(1.0, 0.0, silent=False) == 7.0
