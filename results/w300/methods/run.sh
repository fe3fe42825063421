#!/usr/bin/env bash
# Every method on real 300-W: the same 1,808 training faces, the same 128-px crops seen at 96 px, the same number of steps and
# images, one CPU core a run. Networks are far smaller than the papers', and there is no augmentation: a comparison of lines that
# work, not of papers.
#
#   W300_ROOT=… [LANDMARKS_ROOT=…] [METHODS="uglli …"] results/w300/methods/run.sh [SEED …]     resumes; two runs at a time
#
# Rates are the best on the held-out faces after 400 steps: ADNet's of 1e-3, 2e-3, 5e-3, 1e-2, 2e-2; UGLLI's of 1e-3, 3e-3, 1e-2, 2e-2
# (diverged) and Adam at 2e-3; Wasserstein's of 5e-4, 2e-3, 5e-3 and 1e-2; the regressor's of 3e-4, 1e-3, 3e-3 and 1e-2. LaplaceKL's is
# that of ../tune-supervised.yaml.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
configs=$here/../../../configs
landmarks=${LANDMARKS:-landmarks}
seeds=("${@:-0}")
export OMP_WAIT_POLICY=passive

common=(
  data.train=outputs/data/w300-128/train data.validation=outputs/data/w300-128/validation
  data.test=outputs/data/w300-128/test evaluation.dataset=300w
  input_size=96 augmentation=null training.epochs=null training.steps=900 training.batch=16 training.ema_decay=0.99
  training.validate_every=1 training.checkpoint_every=2 training.image_every=100 training.log_every=30
  schedule.name=cosine schedule.warmup_steps=30 cluster.cpus_per_worker=1 tracking.experiment=methods-300w
  unlabelled.objective=null
)
declare -A own=(
  [laplace]="optimizer.lr=0.0066"
  [adnet]="optimizer.lr=0.01"
  [uglli]="optimizer.lr=0.01 model.stride=2"
  [wasserstein]="optimizer.lr=0.01"
  [anisotropic]="optimizer.lr=0.003 loss.a=1.9 loss.b=1.1"
)
run() {
  local method=$1 seed=$2
  # shellcheck disable=SC2086
  "$landmarks" train "$configs/demo_$method.yaml" "${common[@]}" ${own[$method]} \
    "name=w300-$method-s$seed" "seed=$seed" > "outputs/w300-$method-s$seed.log" 2>&1
}
cd "${LANDMARKS_ROOT:-.}"
mkdir -p outputs
for seed in "${seeds[@]}"; do
  for method in ${METHODS:-laplace adnet uglli wasserstein anisotropic}; do
    run "$method" "$seed" &
    while (($(jobs -rp | wc -l) >= 2)); do wait -n; done
  done
done
wait
