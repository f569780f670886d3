"""The calls by name. Thin: each builds an operation and hands it to the session."""
