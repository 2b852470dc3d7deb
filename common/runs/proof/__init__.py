"""What proves a run: positions to compute it again from, and a receipt of what it came to."""
