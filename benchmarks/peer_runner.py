"""One reader of faces as a process, for benchmarks.peers: ``python -m benchmarks.peer_runner NAME --threads N``.

Each line of standard input is the path of an encoded picture. Each line of standard output is its answer as JSON:
``word``, the expression in the reader's own word or null without a face, and ``ms``, from the bytes in memory to the
answer; or ``error``. Imports of a reader stand inside its function: this file runs in the environment of each.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

Read = Callable[[bytes], str | None]


def face2emoji(threads: int, *, main_only: bool = False) -> Read:
    """Return the product's reader, which reads every face with all cues, map included; the main face answers."""
    from inference import load_reader

    reader = load_reader(threads=threads)

    def read(data: bytes) -> str | None:
        main = reader.read(data, main_only=main_only).main
        return main.expression if main else None

    return read


def fer(threads: int) -> Read:
    """Return the package fer as it comes: its TFLite network behind OpenCV's Haar cascade.

    It reads every face and has no word for which one counts; the biggest answers here.
    """
    import cv2
    import numpy as np
    from fer.fer import FER  # type: ignore[import-not-found]

    cv2.setNumThreads(threads)
    detector = FER()

    def read(data: bytes) -> str | None:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        faces = detector.detect_emotions(pixels)
        if not faces:
            return None
        scores = max(faces, key=lambda face: face["box"][2] * face["box"][3])["emotions"]
        return str(max(scores, key=scores.get))

    return read


def resnet18(threads: int) -> Read:
    """Return an untrained ResNet-18 at 160x160, eager, behind OpenCV's Haar cascade as fer sets it.

    Where the cascade finds nothing, the network takes the whole picture, so that it runs once for each. It takes as
    long as a trained one; what it answers means nothing.
    """
    import cv2
    import numpy as np
    import torch

    from benchmarks.network import SIDE
    from benchmarks.network import resnet18 as build
    from inference.reading import EXPRESSIONS

    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)
    network = build()
    folder = Path(cv2.__file__).parent / "data"
    cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))

    def read(data: bytes) -> str | None:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise ValueError("OpenCV cannot decode it")
        found = cascade.detectMultiScale(
            cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), scaleFactor=1.1, minNeighbors=5, minSize=(50, 50)
        )
        if len(found):
            left, top, width, height = max(found, key=lambda box: box[2] * box[3])
            pixels = pixels[top : top + height, left : left + width]
        face = cv2.cvtColor(cv2.resize(pixels, (SIDE, SIDE)), cv2.COLOR_BGR2RGB)
        with torch.inference_mode():
            scores = network(torch.from_numpy(face).permute(2, 0, 1)[None].float() / 255)
        return EXPRESSIONS[int(scores.argmax())]

    return read


READERS: dict[str, Callable[[int], Read]] = {
    "face2emoji": face2emoji,
    "face2emoji-main": partial(face2emoji, main_only=True),
    "fer": fer,
    "resnet18": resnet18,
}


def main() -> None:
    """Answer pictures until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer_runner", description=__doc__)
    parser.add_argument("name", choices=READERS)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    # Libraries print where they like; the answers go out alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    read = READERS[options.name](options.threads)
    for line in sys.stdin:
        data = Path(line.rstrip("\n")).read_bytes()
        answer: dict[str, object]
        try:
            started = time.perf_counter()
            word = read(data)
            answer = {"word": word, "ms": 1000 * (time.perf_counter() - started)}
        except Exception as problem:
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
