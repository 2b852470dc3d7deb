"""A search for options: what varies, who tries what, and what may be said of the best."""
