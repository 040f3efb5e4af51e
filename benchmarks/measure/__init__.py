"""How it is measured: load, processor time, and time to the first prediction."""
