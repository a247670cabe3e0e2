"""What sessions have used of what is paid for."""

from __future__ import annotations

from vantum.core.spent import ModelUsage, Spent, spent_sum


def test_requests_add_up() -> None:
    one, other = Spent(heard_s=1.5, characters=10), Spent(heard_s=2.0, characters=5)
    one.asked(ModelUsage(100, 20, 80), is_estimate=False)
    one.asked(ModelUsage(50, 3), is_estimate=True)
    other.asked(ModelUsage(7, 1), is_estimate=False)
    assert one == Spent(1.5, 10, 2, 1, 150, 80, 23)
    assert spent_sum([one, other]) == Spent(3.5, 15, 3, 1, 157, 80, 24)
    assert spent_sum([]) == Spent()
