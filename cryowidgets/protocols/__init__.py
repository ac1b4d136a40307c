"""Kinds of processing: one file each, found through an entry point."""
