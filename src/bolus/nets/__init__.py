"""Networks that learn from curves: one training loop, codes of voxels, sequences of regions."""
