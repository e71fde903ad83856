"""Fail unless the gate promoted a version: `python .ci/require_promotion.py promotion_decision.json`.

A refusal is a result of the registry pipeline, whose exit status is 0; here it is a failed check.
"""

import json
import sys
from pathlib import Path

decision = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
failed = [check["reason"] for check in decision["checks"] if check["decisive"] and not check["passed"]]
if decision["verdict"] != "promoted" or failed:
    reasons = "".join(f"\n  - {reason}" for reason in failed)
    sys.exit(f"The gate did not promote version {decision['candidate']}: {decision['verdict']}.{reasons}")
sys.stdout.write(f"The gate promoted version {decision['candidate']}: {len(decision['checks'])} checks.\n")
