#!/usr/bin/env bash
# The whole story of the released weights, from the published files to the figures.
#   training/runs/full.sh DATA [OUT]
# DATA holds fer2013.csv.gz (or .csv) and fer2013new.csv; OUT (default runs/full) receives everything.
# Started again, it goes on where it stopped. TRAIN="--epochs 4 ..." changes the recipe.
set -euo pipefail
data=${1:?usage: training/runs/full.sh DATA [OUT]}
out=${2:-runs/full}
python=${PYTHON:-.venv/bin/python}
faces=$(ls "$data"/fer2013.csv.gz "$data"/fer2013.csv 2>/dev/null | head -n 1 || true)
[ -n "$faces" ] || { echo "error: no fer2013.csv.gz or fer2013.csv in $data" >&2; exit 1; }

"$python" -m training prepare "$faces" --votes "$data/fer2013new.csv" --out "$out/faces.npz"
# shellcheck disable=SC2086  # TRAIN is a list of words
"$python" -m training train --data "$out/faces.npz" --out "$out/run" ${TRAIN:-}
"$python" -m training export --data "$out/faces.npz" --run "$out/run" --out "$out/face2emoji.safetensors"
"$python" -m training evaluate --data "$out/faces.npz" --checkpoint "$out/face2emoji.safetensors" --out "$out"
