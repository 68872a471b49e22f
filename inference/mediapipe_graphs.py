"""MediaPipe's face models as bare graphs: pixels in, plain arrays out. The only file that imports mediapipe.

The models are BlazeFace (Bazarevsky et al. 2019), which detects faces, and Face Mesh with attention (Grishchenko et al.
2020), which lays 478 landmarks on one. All places are shares of the picture's width and height, from its upper left.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import mediapipe
import numpy as np
from mediapipe.framework.formats import rect_pb2
from mediapipe.python import packet_creator, packet_getter
from mediapipe.python._framework_bindings import calculator_graph, image_frame, resource_util
from numpy.typing import NDArray

DETECTOR_SCORE = 0.5
"""What scores less is no detection."""

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]

# One thread does all of a graph: for nodes in a row, handing over between threads costs more than it gains.
_EXECUTOR = 'executor { name: "" type: "ApplicationThreadExecutor" }'
_DETECTOR_GRAPH = f"""
{_EXECUTOR}
input_stream: "image"
output_stream: "detections"
node {{
  calculator: "FaceDetectionRANGECpu"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:detections"
  node_options {{ [type.googleapis.com/mediapipe.FaceDetectionOptions] {{ min_score_thresh: {DETECTOR_SCORE} }} }}
}}
"""

# The landmarks come as one matrix: 478 messages take 0.3 ms to read.
_MESH_GRAPH = (
    _EXECUTOR
    + """
input_stream: "image"
input_stream: "roi"
output_stream: "matrix"
node {
  calculator: "ConstantSidePacketCalculator"
  output_side_packet: "PACKET:0:with_attention"
  node_options {
    [type.googleapis.com/mediapipe.ConstantSidePacketCalculatorOptions] { packet { bool_value: true } }
  }
}
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
node {
  calculator: "ImagePropertiesCalculator"
  input_stream: "IMAGE_CPU:image"
  output_stream: "SIZE:size"
}
node {
  calculator: "LandmarksToMatrixCalculator"
  input_stream: "LANDMARKS:landmarks"
  input_stream: "IMAGE_SIZE:size"
  output_stream: "LANDMARKS_MATRIX:matrix"
  node_options {
    [type.googleapis.com/mediapipe.LandmarksToMatrixCalculatorOptions] { object_normalization: false }
  }
}
"""
)


class Graph:
    """A bare MediaPipe graph fed one timestamp at a time. Not safe to share between threads."""

    def __init__(self, config: str, output: str) -> None:
        resource_util.set_resource_dir(str(Path(mediapipe.__file__).parent.parent))
        self._graph = calculator_graph.CalculatorGraph(graph_config=config)
        self._result: Any = None
        self._time = 0
        self._graph.observe_output_stream(output, self._keep)
        self._graph.start_run()

    def _keep(self, _stream: str, packet: Any) -> None:
        self._result = packet

    def run(self, **inputs: Any) -> Any:
        """Return the output packet for these input packets, or None when the graph put nothing out."""
        self._result = None
        self._time += 1
        for stream, packet in inputs.items():
            self._graph.add_packet_to_input_stream(stream, packet.at(self._time))
        self._graph.wait_until_idle()
        packet = self._result
        return None if packet is None or packet.is_empty() else packet

    def close(self) -> None:
        """Stop the graph; it is of no use afterwards."""
        self._graph.close()


@dataclass(frozen=True, slots=True)
class Detection:
    """What a detector takes for a face, in shares of the picture; parts of it may lie outside.

    Attributes:
        corners: the upper left and the lower right one of a squarish box, (x, y); float32 (2, 2).
        key_points: right eye (left in the picture), left eye, nose, mouth and both ears, (x, y); float32 (6, 2).
        score: DETECTOR_SCORE to 1.
    """

    corners: Points
    key_points: Points
    score: float


class FaceDetector:
    """One of BlazeFace's two detectors: for faces that are near the camera, or for those that are far from it."""

    def __init__(self, reach: Literal["ShortRange", "FullRange"]) -> None:
        self.graph = Graph(_DETECTOR_GRAPH.replace("RANGE", reach), "detections")

    def detect(self, pixels: Pixels) -> list[Detection]:
        """Return what it takes for faces in a square RGB picture, (side, side, 3)."""
        packet = self.graph.run(image=_image(pixels))
        if packet is None:
            return []
        return [_detection(message) for message in packet_getter.get_proto_list(packet)]

    def close(self) -> None:
        """Stop the graph; the detector is of no use afterwards."""
        self.graph.close()


class FaceMesh:
    """Lays landmarks on a face whose place is known."""

    def __init__(self) -> None:
        self.graph = Graph(_MESH_GRAPH, "matrix")

    def landmarks(self, pixels: Pixels, region: float, rotation: float) -> Points | None:
        """Return the 478 landmarks (x, y, z), float32 (478, 3), or None when it sees no face.

        z is in shares of the width, too, and relative to the head's centre.

        Args:
            pixels: (side, side, 3) RGB, the face in the middle.
            region: side of the square to look at, in the middle, as a share of the picture's.
            rotation: by how much that square is turned, in radians clockwise, so that the eyes lie level in it.
        """
        roi = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=region, height=region, rotation=rotation)
        packet = self.graph.run(image=_image(pixels), roi=packet_creator.create_proto(roi))
        if packet is None:
            return None
        landmarks: Points = packet_getter.get_matrix(packet).T
        return landmarks

    def close(self) -> None:
        """Stop the graph; the mesh is of no use afterwards."""
        self.graph.close()


def _image(pixels: Pixels) -> Any:
    return packet_creator.create_image_frame(
        data=np.ascontiguousarray(pixels), image_format=image_frame.ImageFormat.SRGB
    )


def _detection(message: Any) -> Detection:
    """Return a `mediapipe.Detection` message as arrays."""
    box = message.location_data.relative_bounding_box
    return Detection(
        corners=np.array([(box.xmin, box.ymin), (box.xmin + box.width, box.ymin + box.height)], np.float32),
        key_points=np.array([(point.x, point.y) for point in message.location_data.relative_keypoints], np.float32),
        score=float(message.score[0]),
    )
