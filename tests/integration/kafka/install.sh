#!/usr/bin/env bash
# Copies Apache Kafka's jars, as pinned in pom.xml, into DIR: install.sh DIR [--if-possible]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec bash "$here/../install_jars.sh" "Apache Kafka" "$here/pom.xml" dependency:copy-dependencies "$@"
