"""Images: sets and folders of them, decoded, augmented, and given to trained runs."""
