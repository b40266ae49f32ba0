"""One function per tool of the reproducer line: `Line` in, words out. Pure."""
