"""What is handed in to a competition: answers for its test data, as its sample submission is."""
