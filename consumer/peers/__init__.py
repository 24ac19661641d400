"""Other ways to run the same model, for `nerstream bench model`; the product uses none of them."""
