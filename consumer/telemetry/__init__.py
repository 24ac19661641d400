"""The only room that imports prometheus_client."""

import os

# A neighbour's: with it prometheus_client would keep every value in files of that folder, which may
# not be there, and count what a process that is gone has left in them. It looks when it is first
# imported, which no module does before this one.
for _name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
    os.environ.pop(_name, None)
