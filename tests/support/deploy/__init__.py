"""The deploy files, as those read them who run them."""
