"""Views of a trained autoencoder: each looks at one thing, and is kept in the run's report."""
