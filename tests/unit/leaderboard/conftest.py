"""Makes the helpers beside this file and above it importable, whatever pytest's import mode."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(folder) for folder in Path(__file__).parents[:2]]
