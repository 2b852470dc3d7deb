"""Transfer learning: where weights come from, what trains, and features that are kept."""
