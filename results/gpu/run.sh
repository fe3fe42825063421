#!/usr/bin/env bash
# What has to be seen on a GPU, in one go: about 10 minutes on an H100 or H200. Run it again, and it goes on where it stopped.
#
#     results/gpu/run.sh [FOLDER]      # default: outputs/gpu; FOLDER/table.md is the result
#
# Needs no network: where `landmarks` is not installed it is, into FOLDER/venv, from results/gpu/wheels, which a machine with the
# same Python fills beforehand:
#
#     pip wheel --wheel-dir results/gpu/wheels --constraint constraints.txt .
#
# REHEARSAL=1 does the same on a CPU at the smallest sizes: its figures mean nothing.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "${1:-$root/outputs/gpu}"
out=$(cd "${1:-$root/outputs/gpu}" && pwd)
cd "$root" || exit 2
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
export MLFLOW_TRACKING_URI="sqlite:///$out/mlflow.db"
failed=()

if [ -n "${REHEARSAL:-}" ]; then
    device=cpu steps=10 batch=4 faces=48 few=2
    machine=(cluster.gpu=false)
    small=(model.width=4) semi=(training.steps=10 input_size=32 model.width=8 model.levels=2)
    adnet=(model.width=8 model.stacks=1 model.levels=2 training.batch=2 input_size=64)
    hrnet=(training.batch=2 input_size=64)
else
    device=cuda steps=200 batch=64 faces=1200 few=3
    machine=(cluster.gpu=true "cluster.cpus_per_worker=$(($(nproc) > 2 ? $(nproc) - 1 : 1))")
    small=() semi=(training.steps=4000 training.batch=64 training.precision=bf16) adnet=() hrnet=()
fi

# stage NAME COMMAND…: once; what it said is in FOLDER/NAME.log.
stage() {
    local name=$1 began=$SECONDS
    shift
    if [ -e "$out/$name.done" ]; then
        echo "$name: done before"
    elif "$@" >"$out/$name.log" 2>&1; then
        echo "$((SECONDS - began))" >"$out/$name.done"
        echo "$name: $((SECONDS - began)) s"
    else
        failed+=("$name")
        echo "$name: FAILED, see $out/$name.log" >&2
        tail -n 5 "$out/$name.log" >&2
    fi
}

landmarks() { python -m jobs.cli "$@"; }

install() {
    python3 -m venv "$out/venv" &&
        "$out/venv/bin/python" -m pip install --no-index --find-links "$here/wheels" landmark-pipeline
}

prepare() { # NAME SIZE: drawn faces
    landmarks prepare "$here/supervised.yaml" "prepare.out=$out/$1" "prepare.crop.size=$2" \
        prepare.sets.0.reader.count=16 "prepare.sets.1.reader.count=$faces" "prepare.sets.2.reader.count=$faces"
}

sets() { # NAME
    echo "data.train=$out/$1/train data.validation=$out/$1/validation data.test=null data.unlabelled=$out/$1/unlabelled"
}

bench() { # NAME OVERRIDE…
    local name=$1
    shift
    # shellcheck disable=SC2046
    landmarks bench train "$here/supervised.yaml" --steps "$steps" --rounds 1 --out "$out/bench-$name.csv" \
        $(sets faces) "training.batch=$batch" "${machine[@]}" "${small[@]}" "$@"
}

train() { # NAME CONFIG SET OVERRIDE…
    local name=$1 config=$2 set=$3
    shift 3
    # shellcheck disable=SC2046
    landmarks train "$config" "name=$name" $(sets "$set") "cluster.storage=$out/runs" "tracking.artifacts=$out/artifacts" \
        "${machine[@]}" "$@"
}

if ! python -c "import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, ('torch', 'ray', 'deepspeed'))))"; then
    stage install install
    export PATH="$out/venv/bin:$PATH"
fi
steps_only=(training.epochs=null "training.steps=$few" training.cadence=steps training.log_every=1)

stage faces prepare faces 80
stage faces256 prepare faces256 256
stage bench-fp32 bench fp32
stage bench-bf16 bench bf16 training.precision=bf16
stage bench-channels-last bench channels-last training.precision=bf16 training.channels_last=true
stage bench-compile bench compile training.precision=bf16 training.compile=true
stage bench-accumulate bench accumulate training.precision=bf16 training.accumulate=2
stage detect python "$here/detect.py" "$faces" "$device" "$out/detect.csv"
stage adnet train adnet configs/adnet_300w.yaml faces256 "${steps_only[@]}" "${adnet[@]}"
stage hrnet train hrnet "$here/hrnet.yaml" faces256 "${steps_only[@]}" "${hrnet[@]}"
stage semi train semi "$here/semi.yaml" faces "${semi[@]}"

if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}; run it again, and only these are repeated" >&2
    exit 1
fi
python "$here/table.py" "$out" && cat "$out/table.md"
