"""The command line, and the one table of options that pytest's door is built from too."""
