"""Forecasting: from a window of a series to its next values."""
