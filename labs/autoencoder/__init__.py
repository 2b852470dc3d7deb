"""The autoencoder lab: compress, reconstruct, and walk through the latent space."""
