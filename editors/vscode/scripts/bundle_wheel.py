"""Build the server's wheel into bundled/, from where the extension installs it.

python3 scripts/bundle_wheel.py
"""

import shutil
import subprocess
import sys
from pathlib import Path

EXTENSION = Path(__file__).resolve().parents[1]
BUNDLED = EXTENSION / "bundled"

shutil.rmtree(BUNDLED, ignore_errors=True)
command = [
    sys.executable,
    "-m",
    "pip",
    "wheel",
    "--quiet",
    "--no-deps",
    "--wheel-dir",
    str(BUNDLED),
]
subprocess.run([*command, str(EXTENSION.parents[1])], check=True)
print("bundled", *(wheel.name for wheel in BUNDLED.iterdir()))
