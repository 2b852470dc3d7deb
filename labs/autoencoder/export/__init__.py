"""An autoencoder as files that answer without torch."""
