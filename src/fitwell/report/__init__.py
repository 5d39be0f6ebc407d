"""Records drawn for people: :mod:`.terminal` for a console, :mod:`.html` for pages of one file.

Nothing here computes a result: what is drawn was measured and judged elsewhere.
"""
