"""Images and their captions in one space: a small contrastive model."""
