"""What `nerstream doctor` finds out about a cluster, without writing anything to it."""
