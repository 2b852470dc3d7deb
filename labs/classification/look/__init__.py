"""What a network sees: explanations and receptive fields."""
