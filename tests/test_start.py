"""The first moments of the command."""

from __future__ import annotations

import subprocess
import sys

#: Ctrl-C comes while the command line is being loaded.
_INTERRUPTED = """
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "vantum.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
from vantum.start import main
main()
"""


def test_ctrl_c_while_the_rest_is_loaded_is_quiet() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_it_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from vantum.start import main; main()", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("vantum-actors, version ")
