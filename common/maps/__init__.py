"""Maps of what networks make of samples: t-SNE, how far to trust it, and a page to explore."""
