"""The whole way from training data to a submission, in one command and in the time given."""
