"""Vantum: a server that holds real phone conversations.

The public API: settings, a server, a client. `vantum.testing` has simulated providers.
"""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("vantum")
