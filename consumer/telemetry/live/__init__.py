"""The live page: what it knows of a worker, and the page itself."""
