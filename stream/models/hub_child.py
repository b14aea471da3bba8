"""The child process that speaks to a model hub: `describe` a repository, or bring its `files`.

``describe REPO REVISION`` prints JSON of the commit, the licence, the task and the files with
their sizes and, where the hub knows them, their sha256. ``files REPO COMMIT FOLDER PATH…``
puts exactly these files into a folder. Code of a repository is never asked for.
"""

from __future__ import annotations

import json
import sys
from typing import Any

TIMEOUT_S = 20.0


def describe(repo: str, revision: str) -> dict[str, Any]:
    """What a hub tells of a repository at a revision (empty: the newest)."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(repo, revision=revision or None, timeout=TIMEOUT_S, files_metadata=True)
    card: Any = info.card_data
    return {
        "revision": info.sha or "",
        "licence": str(getattr(card, "license", None) or ""),
        "task": str(info.pipeline_tag or ""),
        "files": [
            {"path": one.rfilename, "bytes": one.size or 0, "sha256": one.lfs.sha256 if one.lfs else ""}
            for one in info.siblings or []
        ],
    }


def bring(repo: str, commit: str, folder: str, paths: list[str]) -> None:
    """Downloads files of a repository into a folder."""
    from huggingface_hub import snapshot_download

    snapshot_download(repo, revision=commit, local_dir=folder, allow_patterns=paths, max_workers=2)


def main(arguments: list[str]) -> int:
    """Runs one of the two, and says on one line of standard error what went wrong."""
    try:
        match arguments:
            case ["describe", repo, revision]:
                print(json.dumps(describe(repo, revision)))
            case ["files", repo, commit, folder, *paths]:
                bring(repo, commit, folder, paths)
            case _:
                return 2
    except Exception as error:  # of many libraries; the parent turns the line into an error of the tree
        told = str(error).strip().splitlines()
        print(f"{type(error).__name__}: {told[0] if told else ''}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
