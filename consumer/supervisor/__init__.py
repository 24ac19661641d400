"""Several workers of one group under one supervisor: `nerstream run --workers`."""
