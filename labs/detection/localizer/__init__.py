"""Classification with localization: the class of an image's one object, and its box."""
