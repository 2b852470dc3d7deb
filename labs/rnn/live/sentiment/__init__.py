"""The page of a classifier of texts: type a sentence, and see what the network makes of it."""
