"""Batch norm slows prediction; folding it away restores the time and keeps the outputs."""

import time
from collections.abc import Sequence
from functools import partial
from statistics import fmean, median

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fitwell import Recipe
from fitwell import remedies as r
from fitwell.claims.claim import Claim, Close, Larger
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import trained
from fitwell.records import Bars, Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

PLAIN, BATCH_NORM, FOLDED = say("plain"), say("batch norm"), say("batch norm, folded")
