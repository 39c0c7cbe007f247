"""What a test needs of the system that it runs on."""

from __future__ import annotations

import os

import pytest

#: Windows has no named pipes in folders, no signals, and links for administrators alone.
posix_only = pytest.mark.skipif(os.name == "nt", reason="links, pipes and signals of POSIX")
