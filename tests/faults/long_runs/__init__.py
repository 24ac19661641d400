"""What the long runs share: many messages through one worker, its figures, the record."""
