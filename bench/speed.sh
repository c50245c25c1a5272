#!/usr/bin/env bash
# The whole speed comparison: limits of the machine, every case of ours and of the peers in turn, and the tables.
#
#   bench/speed.sh PYTHON FOLDER [CASE...]
#
# PYTHON is that of the peers' environment (see README.md), FOLDER takes records and tables. About an hour and a half for
# all cases; a case alone: bench/speed.sh python out train/2x64x3x256. THREADS="2 1" says with how many threads. The
# machine should do nothing else.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: bench/speed.sh PYTHON FOLDER [CASE...]" >&2
    exit 2
fi
cd "$(dirname "$0")/.."
python=$1
out=$2
shift 2
cases=("$@")
if [ ${#cases[@]} -eq 0 ]; then
    cases=(train/2x64x3x256 train/2x256x3x256 train/64x512x4x4096 train/6x256x4x30000-relu
        velocity/1 velocity/10000 gradient/euler gradient/rk4 tune/2x256x3x256
        sample/float32 likelihood/float32 likelihood/float32-per-sample likelihood/float64
        image32/train/16 image32/sample/1 image32/sample/16 image64/train/16 image64/sample/1 image64/sample/16
        action/train/256 action/chunk/1)
    for dim in 2 64 3072; do
        for n in 256 512 1024 2048 4096; do
            cases+=("pairing/$dim/$n")
        done
    done
fi
mkdir -p "$out"
# As many cores as threads, so that no helper thread of either side gets more.
on() { taskset -c "0-$(($1 - 1))" "${@:2}"; }
cargo build --release --workspace --examples
programs=target/release/examples
weights=$out/network.npz
[ -f "$weights" ] || "$python" bench/peers/network.py --out "$weights"

# Each of these runs one case on both sides: compare_... CASE THREADS
compare_unets() {
    on "$2" "$programs/unet" --out "$out/speed-thalweg.jsonl" --threads "$2" --case "$1"
    on "$2" "$python" bench/peers/unet.py --out "$out/speed-torch.jsonl" --threads "$2" --only "$1/*"
}
compare_pairings() {
    IFS=/ read -r _ dim n <<<"$1"
    # A median of milliseconds needs more of them.
    local same=(--threads "$2" --dims "$dim" --sizes "$n" --repeats $((n <= 512 ? 15 : 3)))
    on "$2" "$programs/transport" --out "$out/speed-thalweg.jsonl" "${same[@]}"
    on "$2" "$python" bench/peers/ot_pot.py "${same[@]}" | tee -a "$out/speed-pot.jsonl"
}
compare_perceptrons() {
    on "$2" "$programs/speed" --weights "$weights" --out "$out/speed-thalweg.jsonl" --threads "$2" --case "$1"
    # The peers have one step size for the batch only.
    [[ $1 == *-per-sample ]] && return
    on "$2" "$python" bench/peers/speed.py --weights "$weights" --out "$out/speed-torch.jsonl" --threads "$2" \
        --only "$1/*"
}

for threads in ${THREADS:-2 1}; do
    on "$threads" "$programs/limits" --out "$out/limits.jsonl" --threads "$threads"
    for case in "${cases[@]}"; do
        case $case in
        image* | action*) compare_unets "$case" "$threads" ;;
        pairing*) compare_pairings "$case" "$threads" ;;
        *) compare_perceptrons "$case" "$threads" ;;
        esac
    done
done
"$python" bench/peers/speed_table.py "$out" | tee "$out/speed.md"
