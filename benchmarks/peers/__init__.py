"""What people serve TensorFlow models with today, each in its own virtual environment."""
