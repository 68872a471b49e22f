#!/usr/bin/env bash
# Every figure of the model card, from the data's files and a checkpoint.
#   training/runs/measure.sh DATA [OUT] [CHECKPOINT]
# DATA holds fer2013.csv.gz, fer2013new.csv, muxspace.zip and london_set.zip; OUT (default runs/measure) receives a folder
# of figures and plots a set; CHECKPOINT is by default the released one. What OUT holds already is not prepared again.
set -euo pipefail
data=${1:?usage: training/runs/measure.sh DATA [OUT] [CHECKPOINT]}
out=${2:-runs/measure}
python=${PYTHON:-.venv/bin/python}
weights=(${3:+--checkpoint "$3"})

"$python" -m training prepare "$data/fer2013.csv.gz" --votes "$data/fer2013new.csv" --out "$out/faces.npz"
for set in muxspace london_set; do
	"$python" -m zipfile -e "$data/$set.zip" "$out"
done
echo "FER+ and FER2013: 8 classes by the votes' head, 7 by the answers, FER2013 by the labels' head"
"$python" -m training evaluate --data "$out/faces.npz" "${weights[@]}" --out "$out/fer"
echo "muxspace: people not trained on, the five expressions whose labels are good"
"$python" -m training evaluate --labels "$out/muxspace/labels.csv" --split PrivateTest \
	--only happy neutral surprise sad angry "${weights[@]}" --out "$out/people"
echo "London Set: nobody trained on"
"$python" -m training evaluate --labels "$out/london_set/labels.csv" "${weights[@]}" --out "$out/london"
