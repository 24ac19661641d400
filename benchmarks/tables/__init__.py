"""Tables and plots made of recorded results, for the pages that show them."""
