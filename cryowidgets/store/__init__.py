"""The ledger: one SQLite file for each project, one writer, any number of readers."""
