"""What is wrong with a machine, or with a run, by evidence, and what to type next."""
