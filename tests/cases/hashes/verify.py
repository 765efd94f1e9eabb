# SPDX-License-Identifier: Apache-2.0
import json
import sys
from pathlib import Path

outputs, code = Path(sys.argv[1]), sys.argv[2]
assert code == "0", code
(found,) = json.loads((outputs / "outputs.json").read_text()).values()
assert found == {"packaging": "24.2", "six": "1.16.0", "one": "1"}, found
