#!/usr/bin/env bash
# Apply one part of an overlay. A job that has ended is started again, under the same run name: it resumes.
#   k8s/start.sh OVERLAY platform|loader|interactive|prepare|train|tune|scale|evaluate
#   OVERLAY: local-cpu, gpu, gpu-elastic, gpu-s3, kueue, or the folder of your own
set -euo pipefail

usage() {
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
}

[ $# -eq 2 ] || usage
overlay=$1 part=$2
namespace=landmarks
[ -d "$overlay" ] || overlay="$(dirname "$0")/overlays/$1"
[ -f "$overlay/kustomization.yaml" ] || { echo "error: $1: no such overlay" >&2; usage; }

case $part in
    platform | loader | interactive) ;;
    prepare | train | tune | scale | evaluate)
        job="rayjob.ray.io/landmarks-$part"
        if [ -n "$(kubectl --namespace "$namespace" get "$job" --ignore-not-found --output name)" ]; then
            state=$(kubectl --namespace "$namespace" get "$job" --output 'jsonpath={.status.jobDeploymentStatus}')
            case $state in
                Complete | Failed) kubectl --namespace "$namespace" delete "$job" --wait ;;
                *)
                    echo "error: $job is ${state:-not started yet}; stop it first: kubectl -n $namespace delete $job" >&2
                    exit 1
                    ;;
            esac
        fi
        ;;
    *) usage ;;
esac

kubectl kustomize "$overlay" | kubectl apply --selector "landmarks/start=$part" --filename -
