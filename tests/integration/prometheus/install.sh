#!/usr/bin/env bash
# Unpacks Debian's Prometheus and promtool into DIR; needs no root, and a second run has nothing to do.
#
#   install.sh DIR [--if-possible]
#
# With --if-possible a machine without Debian's tools, or without a way to its packages, is told so
# in one line and the script succeeds: the tests that need Prometheus then skip. Under CI=true it
# fails all the same, since a green run without them would prove nothing.
set -euo pipefail

usage="usage: install.sh DIR [--if-possible]"
dir=${1:?$usage}
optional=${2:-}
if [[ -n $optional && $optional != --if-possible ]]; then
    echo "$usage" >&2
    exit 2
fi

give_up() {
    if [[ $optional == --if-possible && ${CI:-} != true ]]; then
        echo "Prometheus is not installed, so the tests that need it will skip: $1" >&2
        exit 0
    fi
    echo "cannot install Prometheus: $1" >&2
    exit 1
}

[[ -f $dir/.installed ]] && exit 0

for tool in apt-get dpkg; do
    command -v "$tool" >/dev/null ||
        give_up "$tool is missing; it takes the package from Debian or Ubuntu"
done

echo "unpacking Debian's Prometheus into $dir"
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
rm -rf "$dir/root" "$dir/apt"
log=$(mktemp)
trap 'rm -rf "$log" "$dir/apt"' EXIT

# Lists of packages of one's own, as those of the system may be old or none, and only root renews
# them; the system's sources.
mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
apt=(apt-get -q -o "Dir::State::lists=$dir/apt/lists" -o "Dir::Cache=$dir/apt/cache" -o APT::Sandbox::User=)
if ! (cd "$dir/apt" && { apt-get -q -o APT::Sandbox::User= download prometheus ||
    { "${apt[@]}" update && "${apt[@]}" download prometheus; }; }) >"$log" 2>&1; then
    sed 's/^/  /' "$log" >&2
    give_up "apt-get could not fetch the package prometheus (its words are above)"
fi
dpkg -x "$dir"/apt/prometheus_*.deb "$dir/root" >"$log" 2>&1 ||
    give_up "dpkg could not unpack it: $(head -n 1 "$log")"
"$dir/root/usr/bin/promtool" --version >"$log" 2>&1 ||
    give_up "promtool does not run here: $(head -n 1 "$log")"
touch "$dir/.installed"
