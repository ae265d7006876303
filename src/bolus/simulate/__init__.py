"""Data whose answer is known."""
