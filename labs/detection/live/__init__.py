"""A trained detector in a page that needs nothing but a browser."""
