"""A trained classifier in a page that needs nothing but a browser."""
