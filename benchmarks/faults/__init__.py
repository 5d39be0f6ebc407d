"""The fault corpus: short training runs, sick and healthy, and how well fitwell tells them apart.

READ ``case.py`` FIRST. A program is a training script as users write it, with the faults as its
arguments; a case is a program with one fault, or none. ``record`` runs every case under watch,
``score`` judges the recorded traces, ``page`` writes ``docs/detection.md``.
"""
