"""Fine-tuning: recipes, training data, checkpoints, averages, model cards."""
