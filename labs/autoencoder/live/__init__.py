"""A trained autoencoder in a page that needs nothing but a browser."""
