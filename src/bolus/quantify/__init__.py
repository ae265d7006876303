"""Perfusion physics: signal to rate, artery, deconvolution, leakage, maps."""
