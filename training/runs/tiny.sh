#!/usr/bin/env bash
# The same story in a minute, with tiny networks: for small data, and for the tests.
#   training/runs/tiny.sh DATA [OUT]
set -euo pipefail
tiny="--epochs 3 --batch 16 --rate 0.1 --average 0.8 --widths 8 8 16 16 --blocks 1 1 1 1"
STORY=tiny.sh FIRST="$tiny --shape 0" THEN="$tiny --shape 8" LAST="$tiny --shape 8" exec "$(dirname "$0")/full.sh" "$@"
