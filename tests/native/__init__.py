"""Our C under every watch that there is: `make sanitize`."""
