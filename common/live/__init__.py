"""A trained network in a page: its operations written for a browser, and what shows them."""
