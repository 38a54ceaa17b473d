"""Fréchet distance."""
