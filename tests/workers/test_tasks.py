"""What the parent gives its workers."""

from __future__ import annotations

from pathlib import Path

import attrs

from vantum.config.load import load_settings
from vantum.running_workers import _tasks, worker_count
from vantum.workers.routing import labels_of


def test_what_is_for_all_is_divided_and_the_rest_is_the_same(tmp_path: Path) -> None:
    loaded = load_settings(
        {"MAX_SESSIONS": "10", "TWILIO_MAX_LINES": "4", "LOCAL_THREADS": "2", "WORKERS": "3"}, None
    )
    labels = labels_of(worker_count(loaded.settings))
    tasks = _tasks(loaded, labels, tmp_path, ((2, ("127.0.0.1", 1)),))
    given = {label: task.loaded.settings for label, task in tasks.items()}
    assert [each.server.max_sessions for each in given.values()] == [4, 3, 3]
    assert [each.twilio.max_lines for each in given.values()] == [2, 1, 1]
    assert {task.place.label: task.place.shares for task in tasks.values()} == dict.fromkeys(
        labels, (4, 3, 3)
    )
    for each in given.values():
        same = attrs.evolve(each, server=loaded.settings.server, twilio=loaded.settings.twilio)
        assert same == loaded.settings


def test_threads_are_divided_if_nobody_says_how_many(tmp_path: Path) -> None:
    loaded = load_settings({"WORKERS": "200"}, None)
    (task, *_) = _tasks(loaded, labels_of(200), tmp_path, ()).values()
    assert task.loaded.settings.local.threads == 1
    assert task.loaded.settings.twilio.max_lines == 0
