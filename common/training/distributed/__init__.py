"""Data-parallel training: several processes, each with the whole model, share the batches."""
