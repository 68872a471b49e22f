#!/usr/bin/env bash
# The whole story of the released weights, from the published files to the figures.
#   training/runs/full.sh DATA [OUT]
# DATA holds fer2013.csv.gz (or .csv), fer2013new.csv and, if you have it, muxspace.zip; OUT (default runs/full) receives
# everything. Started again, it goes on where it stopped. First TEACHERS (default 4) wide networks learn from the labels,
# then the one that ships learns from the labels and from them. FIRST="--epochs 4 ..." and THEN="--epochs 2 ..." change
# the two recipes; SEED (default 0) is the second's; PROCESSES=2 trains in as many processes together.
set -euo pipefail
data=${1:?usage: training/runs/full.sh DATA [OUT]}
out=${2:-runs/full}
seed=${SEED:-0}
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

teachers=()
for ((number = 1; number <= ${TEACHERS:-4}; number++)); do
	# shellcheck disable=SC2086  # FIRST and THEN are lists of words
	"${train[@]}" --data "${packed[@]}" --out "$out/teacher$number" --seed "10$number" \
		--widths 64 128 256 512 --epochs 52 ${FIRST:-}
	"$python" -m training export --data "${packed[@]}" --run "$out/teacher$number" --out "$out/teacher$number.safetensors"
	teachers+=("$out/teacher$number.safetensors")
done
# shellcheck disable=SC2086
"${train[@]}" --data "${packed[@]}" --out "$out/run$seed" --seed "$seed" --teacher "${teachers[@]}" ${THEN:-}
"$python" -m training export --data "${packed[@]}" --run "$out/run$seed" --out "$out/face2emoji.safetensors" --smile 2
"$python" -m training evaluate --data "${packed[@]}" --checkpoint "$out/face2emoji.safetensors" --out "$out"
