"""The only place where steps meet."""
