"""The tests. A package, because a dependency leaves one called `tests` in site-packages, which would hide a plain folder."""
