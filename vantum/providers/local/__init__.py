"""The embedded providers: recognition, model and voice on this machine."""

import os

# Since 1.29 onnxruntime's wheels for Linux tell Microsoft of each process and of the graphs that it
# loads, through the environment's proxy too. What is embedded talks to nobody. It is looked at when
# the library is first loaded, which only modules of this package do.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
