"""ONNX Runtime as we want it: it reports to nobody and says nothing. The only file that imports it.

Left alone, its builds for Linux, macOS and Windows keep an identifier of the machine in the cache folder of whoever
runs it, start a thread, and send what they count to their maker. They must be told not to before they are imported.
"""

from __future__ import annotations

import os

from inference.quiet import quiet

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
with quiet():  # it complains of graphics cards that it cannot name
    import onnxruntime

InferenceSession = onnxruntime.InferenceSession
SessionOptions = onnxruntime.SessionOptions
VERSION = str(onnxruntime.__version__)
