"""How often the statistics of a study are right, where the truth is known by construction."""
