"""The engine: the door, the desk, the workshop and its executors."""
