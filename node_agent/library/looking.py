"""What lies in the model folders: ``python -m node_agent.library.looking`` prints JSON.

One look at names, as the agent takes it; no file is read or hashed, so it takes milliseconds.
"""

import json
import sys

from mesh.home import Home
from mesh.settings import load_settings
from node_agent.library.found import Findings
from node_agent.library.places import sources_of

PROBLEMS_MAX = 20  # more than anybody reads at once


def main() -> int:
    """Print how many model files there are, and what is wrong with others."""
    findings = [source.find() for source in sources_of(Home.find(), load_settings().node)]
    sys.stdout.write(json.dumps(in_plain(findings)) + "\n")
    return 0


def in_plain(findings: list[Findings]) -> dict[str, object]:
    """Return the answers of all sources as one; two names of one file count once."""
    files = {file.inode for each in findings for file in each.files}
    problems = [
        f"{problem.where}: {problem.reason}"
        for each in findings
        for problem in each.problems
        if not problem.ignored
    ]
    folders = [str(look.folder) for each in findings for look in each.folders if look.files]
    return {
        "files": len(files),
        "problems": problems[:PROBLEMS_MAX],
        "problems_count": len(problems),
        "folders": folders,
    }


if __name__ == "__main__":
    sys.exit(main())
