"""Every setting: declared once, read from flags, variables and a file, and judged."""
