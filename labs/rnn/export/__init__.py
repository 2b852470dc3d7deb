"""Classifiers of texts, forecasts and translators as files that answer without torch."""
