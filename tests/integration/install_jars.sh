#!/usr/bin/env bash
# Copies a server's jars, as pinned in a pom, into DIR/libs; a second run has nothing to do.
#
#   install_jars.sh WHAT POM GOAL DIR [--if-possible]
#
# With --if-possible a machine without Java or Maven, or without a way to the artefacts, is told
# so in one line and the script succeeds: the tests that need the server then skip. Under CI=true it
# fails all the same, since a green run without them would prove nothing.
set -euo pipefail

usage="usage: install.sh DIR [--if-possible]"
what=$1 pom=$2 goal=$3
dir=${4:?$usage}
optional=${5:-}
if [[ -n $optional && $optional != --if-possible ]]; then
    echo "$usage" >&2
    exit 2
fi
min_java=17

give_up() {
    if [[ $optional == --if-possible && ${CI:-} != true ]]; then
        echo "$what is not installed, so the tests that need it will skip: $1" >&2
        exit 0
    fi
    echo "cannot install $what: $1" >&2
    exit 1
}

# The pom itself is the stamp: a changed pin installs again, a newer file time alone does not.
if [[ -f $dir/.installed ]] && cmp -s "$pom" "$dir/.installed"; then
    touch "$dir/.installed"
    exit 0
fi

java=${JAVA_HOME:+$JAVA_HOME/bin/}java
command -v "$java" >/dev/null || give_up "java is missing; install a JDK or JRE, version $min_java or newer"
found=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
(( ${found:-0} >= min_java )) || give_up "java is version ${found:-unknown}; $min_java or newer is needed"
command -v mvn >/dev/null || give_up "mvn is missing; install Apache Maven"

echo "copying $what's jars into $dir"
mkdir -p "$dir"
rm -rf "$dir/libs" "$dir/.installed"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Maven puts its own `target` beside the pom unless told; nothing of it belongs in the tree.
if ! mvn -q -B -f "$pom" "$goal" \
    "-DoutputDirectory=$(cd "$dir" && pwd)/libs" >"$log" 2>&1; then
    sed 's/^/  /' "$log" >&2
    give_up "Maven could not fetch the artefacts (its words are above)"
fi
ls "$dir"/libs/*.jar >"$log" 2>&1 || give_up "Maven brought no jars into $dir/libs"
cp "$pom" "$dir/.installed"
