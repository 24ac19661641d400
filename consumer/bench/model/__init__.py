"""`nerstream bench model`: the model beside other ways to run it."""
