#!/usr/bin/env bash
# Make the Secrets that the manifests refer to, with generated values that are never printed. A Secret that exists is left alone.
#   k8s/create-secrets.sh [NAMESPACE]
set -euo pipefail

namespace=${1:-landmarks}

random_hex() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# Values go through standard input: arguments could be read by every process of this machine.
create() {
    local name=$1 status
    local found
    found=$(kubectl --namespace "$namespace" get secret "$name" --ignore-not-found --output name)
    if [ -n "$found" ]; then
        cat >/dev/null
        status="is there already, left as it is"
    else
        kubectl --namespace "$namespace" create secret generic "$name" --from-env-file=/dev/stdin >/dev/null
        status="created"
    fi
    echo "secret $namespace/$name: $status"
}

kubectl get namespace "$namespace" --output name >/dev/null 2>&1 ||
    kubectl create namespace "$namespace" >/dev/null

printf 'auth_token=%s\n' "$(random_hex)" | create landmarks-ray-token
printf 'password=%s\n' "$(random_hex)" | create landmarks-postgres
printf 'access-key=%s\nsecret-key=%s\n' "$(random_hex)" "$(random_hex)" | create landmarks-objects
