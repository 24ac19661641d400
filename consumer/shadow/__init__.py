"""A second model beside the one that serves: how far they agree, and nothing else."""
