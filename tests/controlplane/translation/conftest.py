"""Puts the certificates and the other support of the control plane's tests within reach of these."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
