"""Data sets of boxes and masks: loaded, checked, converted, augmented, or made."""
