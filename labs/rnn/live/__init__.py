"""Pages in which a trained network of the lab runs."""
