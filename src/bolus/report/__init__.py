"""Results a neuroradiologist reads in two minutes."""
