"""What the workers of a fault run are fed, how it is spelled, and who feeds it."""
