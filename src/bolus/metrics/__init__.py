"""Two arrays in, a number out: how far an estimate is from the truth."""
