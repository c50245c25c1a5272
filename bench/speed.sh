#!/usr/bin/env bash
# The whole speed comparison: limits of the machine, every case of ours and of the peers in turn, and the table.
#
#   bench/speed.sh PYTHON FOLDER [CASE...]
#
# PYTHON is that of the peers' environment (see README.md), FOLDER takes records and table. About an hour for all cases;
# a case alone: bench/speed.sh python out train/2x64x3x256. The machine should do nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
out=$2
shift 2
cases=("$@")
if [ ${#cases[@]} -eq 0 ]; then
    cases=(train/2x64x3x256 train/2x256x3x256 train/64x512x4x4096 train/6x256x4x30000-relu
        velocity/1 velocity/10000 gradient/euler gradient/rk4
        sample/float32 likelihood/float32 likelihood/float32-per-sample likelihood/float64)
fi
mkdir -p "$out"
cargo build --release --workspace --examples
weights=$out/network.npz
[ -f "$weights" ] || "$python" bench/peers/network.py --out "$weights"
for threads in 2 1; do
    target/release/examples/limits --out "$out/limits.jsonl" --threads "$threads"
    for case in "${cases[@]}"; do
        target/release/examples/speed --weights "$weights" --out "$out/speed-thalweg.jsonl" \
            --threads "$threads" --case "$case"
        # The peers have one step size for the batch only.
        [[ $case == *-per-sample ]] && continue
        "$python" bench/peers/speed.py --weights "$weights" --out "$out/speed-torch.jsonl" \
            --threads "$threads" --only "$case/*" --only "$case/$threads"
    done
done
"$python" bench/peers/speed_table.py "$out/speed-thalweg.jsonl" "$out/speed-torch.jsonl" "$out/limits.jsonl" \
    | tee "$out/speed.md"
