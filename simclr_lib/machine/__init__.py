"""Which machine this is, and how many work together."""
