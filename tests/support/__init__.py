"""What the tests are given: fakes, rigs, tiny models."""
