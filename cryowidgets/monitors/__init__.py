"""Monitors: numbers of a session in, a judgement out, one file each; and the way of an alert to people."""
