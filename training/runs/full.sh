#!/usr/bin/env bash
# The whole story of the released weights, from the published files to the figures.
#   training/runs/full.sh DATA [OUT]
# DATA holds fer2013.csv.gz (or .csv), fer2013new.csv and, if you have it, muxspace.zip; OUT (default runs/full) receives
# everything. Started again, it goes on where it stopped. First the pixels are learned, then the face's shape beside them,
# with the first network's answers as a second opinion on the labels. FIRST="--epochs 4 ..." and THEN="--epochs 2 ..."
# change the two recipes; PROCESSES=2 trains in as many processes together.
set -euo pipefail
data=${1:?usage: training/runs/full.sh DATA [OUT]}
out=${2:-runs/full}
python=${PYTHON:-.venv/bin/python}
faces=$(ls "$data"/fer2013.csv.gz "$data"/fer2013.csv 2>/dev/null | head -n 1 || true)
[ -n "$faces" ] || { echo "error: no fer2013.csv.gz or fer2013.csv in $data" >&2; exit 1; }

train=("$python" -m training train)
if [ "${PROCESSES:-1}" -gt 1 ]; then
	export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
	train=("$python" -m torch.distributed.run --standalone --nproc-per-node "$PROCESSES" "${train[@]:1}")
fi

packed=("$out/faces.npz")
"$python" -m training prepare "$faces" --votes "$data/fer2013new.csv" --out "$out/faces.npz"
if [ -f "$data/muxspace.zip" ]; then
	"$python" -m zipfile -e "$data/muxspace.zip" "$out"
	# Its disgust labels are poor.
	"$python" -m training prepare "$out/muxspace/labels.csv" --without disgust --out "$out/people.npz"
	packed+=("$out/people.npz")
fi

# shellcheck disable=SC2086  # FIRST and THEN are lists of words
"${train[@]}" --data "${packed[@]}" --out "$out/pixels" --epochs 21 --growth 0 --shape 0 ${FIRST:-}
"$python" -m training export --data "${packed[@]}" --run "$out/pixels" --out "$out/pixels.safetensors"
# shellcheck disable=SC2086
"${train[@]}" --data "${packed[@]}" --out "$out/run" \
	--init "$out/pixels.safetensors" --teacher "$out/pixels.safetensors" ${THEN:-}
"$python" -m training export --data "${packed[@]}" --run "$out/run" --out "$out/face2emoji.safetensors" --smile 2
"$python" -m training evaluate --data "${packed[@]}" --checkpoint "$out/face2emoji.safetensors" --out "$out"
