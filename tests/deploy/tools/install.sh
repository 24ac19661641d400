#!/usr/bin/env bash
# What `make check-deploy` checks with, of Go modules, into DIR: install.sh DIR
#
#   DIR/bin/docker-compose, kustomize, podsecurity   built; ten minutes on two busy cores
#   DIR/crds/*.yaml                                  KEDA's and the Prometheus operator's
#
# Nothing of it is copied into the project. A second run has nothing to do.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:?usage: install.sh DIR}"
dir=$(cd "$1" && pwd)

# The newest that Go 1.26 builds.
compose=github.com/docker/compose/v2@v2.40.3
kustomize=sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
keda=github.com/kedacore/keda/v2@v2.21.0
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0

wanted=$(cat "${BASH_SOURCE[0]}" "$here"/podsecurity/{main.go,go.mod,go.sum} | sha256sum)
if [[ -f $dir/.installed && $(<"$dir/.installed") == "$wanted" ]]; then
    exit 0
fi
command -v go >/dev/null || { echo "go is missing; install Go 1.24 or newer" >&2; exit 1; }
mkdir -p "$dir/bin" "$dir/crds"
export GOBIN=$dir/bin

# Where the files of a module are.
module() {
    go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p'
}

echo "kustomize"
go install "$kustomize"
echo "podsecurity: Kubernetes' own judgement of pods"
go build -C "$here/podsecurity" -trimpath -o "$dir/bin/podsecurity" .
# `go install` refuses it, since its go.mod has `replace`.
echo "docker-compose"
go build -C "$(module "$compose")" -trimpath -o "$dir/bin/docker-compose" ./cmd
echo "the CRDs of KEDA and of the Prometheus operator"
install -m 0644 "$(module "$keda")/config/crd/bases/keda.sh_scaledobjects.yaml" "$dir/crds/"
install -m 0644 "$(module "$operator")/example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml" "$dir/crds/"
echo "$wanted" >"$dir/.installed"
