"""Arguments to configuration to workflow."""
