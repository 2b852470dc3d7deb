"""The ancestor of detectors: Haar features, boosted stumps, and a cascade of them."""
