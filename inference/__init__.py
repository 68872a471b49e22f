"""Photo bytes in, expressions and emoji out. This is the door; nothing else in the package is public."""
