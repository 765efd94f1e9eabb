# SPDX-License-Identifier: Apache-2.0
import json
import sys
from pathlib import Path

outputs, code = Path(sys.argv[1]), sys.argv[2]
assert code == "0", code
assert not (outputs / "error.pb").exists()
found = json.loads((outputs / "outputs.json").read_text("utf-8"))
assert found["greeting"] == "good day", found
assert [end[:19] for end in found["ends"]] == ["2026-03-01T12:01:30", "2026-03-29T03:00:00"], found
assert found["longest"]["tags"] == ["größer", "x y"], found
assert found["longest"]["length"] == 5400.5, found
assert found["nothing"] is None, found
