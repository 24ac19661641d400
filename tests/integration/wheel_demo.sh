#!/usr/bin/env bash
# Installs the built wheel in an environment that has nothing else, and runs the demo from there.
#
#   tests/integration/wheel_demo.sh [PYTHON]
#
# Its 60 sample articles come out tagged, by the kernels of the wheel, with no file of the checkout.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${1:-$root/.venv/bin/python}
uv=$root/.venv/bin/uv
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

(cd "$root" && .venv/bin/python -m hatchling build -t wheel -d "$folder" > "$folder/build.log" 2>&1) \
  || { cat "$folder/build.log" >&2; exit 1; }
"$uv" venv --quiet --no-config --python "$python" "$folder/env"
"$uv" pip install --quiet --python "$folder/env/bin/python" -c "$root/constraints.txt" "$folder"/nerstream-*.whl
cd "$folder"
env -i PATH="$folder/env/bin:/usr/bin:/bin" HOME="$folder" LANG=C.UTF-8 OMP_WAIT_POLICY=passive \
  nerstream demo --json --rate 0 > out.jsonl 2> err.log \
  || { echo "the demo of the installed wheel failed:" >&2; cat err.log >&2; exit 1; }
env/bin/python - out.jsonl err.log <<'CHECK'
import json, pathlib, platform, sys
import consumer
from consumer.tagging.engine.cpu.native_library import LIBRARY

documents = [json.loads(line) for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
rejected = pathlib.Path(sys.argv[2]).read_text().count("rejected (")
entities = sum(len(document["entities"]) for document in documents)
told = f"Python {platform.python_version()}: {len(documents)} articles tagged, {rejected} rejected, {entities} entities"
assert "env/lib" in consumer.__file__, consumer.__file__
assert len(documents) + rejected == 60 and len(documents) > 50 and entities > 100, told
print(f"{told}; kernels {'compiled in' if LIBRARY.exists() else 'left out'}")
CHECK
