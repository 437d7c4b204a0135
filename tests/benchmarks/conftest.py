"""Benchmarks are scripts beside each other; their tests import them by name."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
