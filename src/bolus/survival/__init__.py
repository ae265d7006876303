"""Time to an event: hazard models, curves, and how well a score orders patients."""
