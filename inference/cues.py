"""What the landmarks add to the expression: the names of the cues."""

from __future__ import annotations

CUES = (
    "wink_left",
    "wink_right",
    "eyes_closed",
    "eyes_squeezed",
    "eyes_wide",
    "mouth_open",
    "mouth_wide_open",
    "smile_closed",
    "smile_open",
    "smirk",
    "pout",
    "lips_pressed",
    "brows_raised",
    "brow_raised",
    "brows_lowered",
    "head_tilted",
    "head_turned",
    "looking_up",
    "looking_aside",
    "tongue_out",
    "eyes_covered",
    "mouth_covered",
)
"""Every cue that a face can show; `FaceReading.cues` has the confidence of those that were seen."""
