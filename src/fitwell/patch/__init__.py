"""Patches: a recipe written into the user's own source, as a diff.

:class:`~fitwell.patch.origins.Origins` notes where each module was made, a
:class:`~fitwell.patch.sketch.Sketch` says what each of these places must become, a
:class:`~fitwell.patch.rewriting.Rewriter` writes it with libcst, and what was written is run and
compared with the treated network before it is shown. It needs the extra ``lab``.
"""

from fitwell.patch.patching import patch
from fitwell.patch.result import Applied, NotExpressed, Patch

__all__ = ["Applied", "NotExpressed", "Patch", "patch"]
