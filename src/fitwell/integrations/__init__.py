"""Other frameworks, each in one place."""
