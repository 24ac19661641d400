"""Running windows through the model; what every engine has in common."""
