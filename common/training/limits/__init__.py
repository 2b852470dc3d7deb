"""What a machine allows: its memory, and the time that a run is given."""
