"""Files: tables as people have them, and verified downloads."""
