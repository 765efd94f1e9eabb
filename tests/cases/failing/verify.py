# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

from entrypoint.wire.protobuf import decode

outputs, code = Path(sys.argv[1]), sys.argv[2]
assert code == "10", code  # the task raised
assert sorted(path.name for path in outputs.iterdir()) == ["error.pb"]
error = decode("ErrorDocument", (outputs / "error.pb").read_bytes())["error"]
assert "ValueError" in error["message"] and "only 3 rows" in error["message"], error
assert 'task.py", line 7, in check' in error["message"], error
assert "entrypoint" not in error["message"], error
