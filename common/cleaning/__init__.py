"""Labels that are likely wrong: found, judged by a person, and put right in training."""
