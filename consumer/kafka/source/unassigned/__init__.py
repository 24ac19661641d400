"""Partitions that the group has given to no worker."""
