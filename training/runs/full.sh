#!/usr/bin/env bash
# The whole story of the released weights, from the published files to the figures.
#   training/runs/full.sh DATA [OUT]
# DATA holds fer2013.csv.gz (or .csv), fer2013new.csv and, if you have it, muxspace.zip; OUT (default runs/full) receives
# everything. Started again, it goes on where it stopped. First two wide teachers learn from the labels; then two students, a
# wide one and the one that ships, learn from the labels and from them; then the latter is finished three times, with all
# four as its teachers, and the mean of the three, counting in 8 bits, is released. FIRST, THEN and LAST, as in
# THEN="--epochs 2", change the three recipes; SEED (default 0) is the students' and, with what follows from it, the
# finishes'; PROCESSES=2 trains in as many processes together.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: training/runs/${STORY:-full.sh} DATA [OUT]" >&2; exit 2; }
data=$1
out=${2:-runs/full}
seed=${SEED:-0}
python=${PYTHON:-.venv/bin/python}
faces=$(ls "$data"/fer2013.csv.gz "$data"/fer2013.csv 2>/dev/null | head -n 1 || true)
[ -n "$faces" ] || { echo "error: no fer2013.csv.gz or fer2013.csv in $data" >&2; exit 1; }

run=("$python" -m training train)
if [ "${PROCESSES:-1}" -gt 1 ]; then
	run=(env OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" "$python" -m torch.distributed.run --standalone --nproc-per-node "$PROCESSES" "${run[@]:1}")
fi
wide=(--widths 64 128 256 512)

packed=("$out/faces.npz")
"$python" -m training prepare "$faces" --votes "$data/fer2013new.csv" --out "$out/faces.npz"
if [ -f "$data/muxspace.zip" ]; then
	"$python" -m zipfile -e "$data/muxspace.zip" "$out"
	# Its disgust labels are poor.
	"$python" -m training prepare "$out/muxspace/labels.csv" --without disgust --out "$out/people.npz"
	packed+=("$out/people.npz")
fi

# train NAME OPTION...; weights NAME RUN... writes NAME.safetensors.
train() {
	"${run[@]}" --data "${packed[@]}" --out "$out/$1" "${@:2}"
}
weights() {
	"$python" -m training export --data "${packed[@]}" --run "${@:2}" --out "$out/$1.safetensors"
}

# shellcheck disable=SC2086  # FIRST, THEN and LAST are lists of words
{
	for number in 1 2; do
		train "teacher$number" --seed "10$number" "${wide[@]}" --epochs 52 ${FIRST:-}
		weights "teacher$number" "$out/teacher$number"
	done
	teachers=("$out"/teacher{1,2}.safetensors)
	train wide --seed "$seed" --teacher "${teachers[@]}" "${wide[@]}" ${THEN:-}
	train student --seed "$seed" --teacher "${teachers[@]}" ${THEN:-}
	for name in wide student; do
		weights "$name" "$out/$name"
		teachers+=("$out/$name.safetensors")
	done
	# They differ a little in more than chance, and so does what they get wrong.
	changes=("" "--clear 0.6" "--label-weight 1")
	for number in 1 2 3; do
		train "finish$number" --seed $((10 * seed + 10 + number)) --init "$out/student.safetensors" \
			--teacher "${teachers[@]}" --teach 0.6 --epochs 40 --rate 0.06 --growth 0 ${changes[number - 1]} ${LAST:-}
	done
}
weights face2emoji "$out"/finish{1,2,3}
"$python" -m training evaluate --data "${packed[@]}" --checkpoint "$out/face2emoji.safetensors" --out "$out"
