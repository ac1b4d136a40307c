"""Other people's systems: one file each, read from the ledger."""
