"""A study that any number of processes on any number of machines share through a database.

The runs of the study are trials in Optuna's tables, from the moment they are asked for; a queue
of batches beside them says who does what. Everything here needs the extra ``lab``, and
``postgres`` for more than one machine.
"""
