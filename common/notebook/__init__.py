"""Commands as functions of Python, and how a notebook shows what they do and make."""
