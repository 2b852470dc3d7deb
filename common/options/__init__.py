"""Options: a dataclass makes the command line, the TOML file and the errors."""
