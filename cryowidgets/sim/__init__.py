"""A microscope in a folder: movies with known answers."""
