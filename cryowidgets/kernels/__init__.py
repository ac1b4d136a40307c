"""Arrays in, arrays out: pure functions, for numpy and cupy alike."""
