"""How fast studies run: against the loops and tools that people use, and against the hardware.

    python -m benchmarks.studies [--only ROW …] [--repeats N] [--quick]

Every row is a ratio of arms that take turns in one run, with its median and its smallest and
largest value. CPU seconds stand beside wall time: where something else keeps the machine busy, it
is they that can be compared. What else ran is told with every row.
"""
