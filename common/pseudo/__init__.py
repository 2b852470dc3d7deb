"""Samples without labels that train beside the others, with labels that networks gave them."""
