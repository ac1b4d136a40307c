"""Workflows that come with this plug-in."""
