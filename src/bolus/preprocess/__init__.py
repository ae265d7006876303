"""From the series as it came to one that can be measured: motion, brain, grids, times."""
