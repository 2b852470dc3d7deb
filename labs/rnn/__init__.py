"""Read sequences: recurrent networks for sentiment, forecasting, translation and memory."""
