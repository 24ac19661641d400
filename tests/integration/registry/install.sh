#!/usr/bin/env bash
# Unpacks Apicurio Registry, as pinned in pom.xml, into DIR: install.sh DIR [--if-possible]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec bash "$here/../install_jars.sh" "Apicurio Registry" "$here/pom.xml" dependency:unpack "$@"
