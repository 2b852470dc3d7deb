"""Maps of the latent space: t-SNE, how far to trust it, and the interactive page."""
