#!/usr/bin/env bash
# Every figure of the model card, from the data's files and a checkpoint.
#   training/runs/measure.sh DATA [OUT] [CHECKPOINT]
# DATA holds fer2013.csv.gz, fer2013new.csv, muxspace.zip and london_set.zip; OUT (default runs/measure) receives a folder
# of figures and plots for each; CHECKPOINT is by default the released one. What OUT holds already is not prepared again.
set -euo pipefail
data=${1:?usage: training/runs/measure.sh DATA [OUT] [CHECKPOINT]}
out=${2:-runs/measure}
python=${PYTHON:-.venv/bin/python}
weights=${3:-inference/weights/face2emoji.safetensors}

step() {
	echo
	echo "== $1"
	shift
	"$python" -m training "$@" --checkpoint "$weights"
}

"$python" -m training prepare "$data/fer2013.csv.gz" --votes "$data/fer2013new.csv" --out "$out/faces.npz"
for set in muxspace london_set; do
	"$python" -m zipfile -e "$data/$set.zip" "$out"
done
people=(--labels "$out/muxspace/labels.csv" --split PrivateTest --only happy neutral surprise sad angry)
london=(--labels "$out/london_set/labels.csv")
step "FER+ and FER2013" evaluate --data "$out/faces.npz" --out "$out/fer"
step "muxspace, people not trained on, expressions with good labels" evaluate "${people[@]}" --out "$out/people"
step "the same, the network alone" evaluate "${people[@]}" --network-alone --out "$out/people-alone"
step "London Set, nobody trained on" evaluate "${london[@]}" --out "$out/london"
step "the same, the network alone" evaluate "${london[@]}" --network-alone --out "$out/london-alone"
spoilt=(--labels "$out/london_set/labels.csv" "$out/muxspace/labels.csv" --split all PrivateTest
	--only happy neutral surprise sad angry --workers 2)
step "What bad light, blur, noise and things in front of the face cost, at middle strength" robustness \
	"${spoilt[@]}" --strengths middle --out "$out/robustness-middle"
step "The same at all strengths, a hundred photos of each set" robustness "${spoilt[@]}" --limit 100 --out "$out/robustness"
