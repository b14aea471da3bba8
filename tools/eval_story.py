"""Whether false sentences leave a story and true ones stay: `python -m tools.eval_story --photos DIR`.

Errors (wrong count, object, place, time, order; invented person, speech) are planted into drafts over real
photos; the loop checks every sentence against the pictures. Beside it the control: as many sentences
rewritten, without looking at the pictures: those that the rest of the draft supports least
(`reasoning.verifier`). What perception says of the photos is made here by the same networks as in the video
process. `--album DIR` (repeatable) adds folders with times of their own: their composed stories are looked at
for coverage, order and stops.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reasoning.story.telling import sentences_of, told_of
from reasoning.story.things import shares_of
from reasoning.verifier import Premise, Verifier
from stream.capture.album.picture import PHOTO_SUFFIXES
from stream.capture.album.read import MOST_PIXELS, read_album
from stream.capture.probe import ContentHash
from stream.capture.settings import CaptureSettings
from stream.commands.story_album import story_pictures
from stream.messages.story import Story, StoryAsk, StoryFinal, StoryPicture, StoryWish
from tools.story_albums import ERRORS, SEEN, TestAlbum, albums_of
from tools.story_pictures import Perceived


def told(pictures: Sequence[StoryPicture], seen: Perceived, **asked: Any) -> Story:
    """The story of some pictures."""
    *_, last = told_of(StoryAsk(pictures=tuple(pictures), **asked), seen.by_source)
    assert isinstance(last, StoryFinal)
    return last.story


def kept_by_control(album: TestAlbum, n_rewritten: int) -> list[bool]:
    """Which sentences stay where as many are rewritten as ours did, chosen without the pictures."""
    texts = [one.line.text for one in album.draft]
    verifier = Verifier()
    support = []
    for place, text in enumerate(texts):
        others = [Premise(other) for at, other in enumerate(texts) if at != place]
        support.append((verifier.check(text, others).support, place))
    weakest = {place for _, place in sorted(support)[:n_rewritten]}
    return [place not in weakest for place in range(len(texts))]


def measured(album: TestAlbum, seen: Perceived) -> dict[str, Any]:
    """What stayed and what left, of ours and of the control."""
    began_s = time.perf_counter()
    story = told(album.pictures, seen, lines=tuple(one.line for one in album.draft))
    seconds = time.perf_counter() - began_s
    sentences = sentences_of(story)
    kept = {(one.text, one.pictures) for one in sentences}
    is_kept = [(one.line.text, one.line.pictures) in kept for one in album.draft]
    control = kept_by_control(album, is_kept.count(False))
    by_ours = list(zip(album.draft, is_kept, strict=True))
    by_control = list(zip(album.draft, control, strict=True))
    untrue = {one.line.text for one, stays in by_ours if not one.error and not stays}
    return {
        "planted": [(one.error, not stays) for one, stays in by_ours if one.error],
        "true": [stays for one, stays in by_ours if not one.error],
        "control_planted": [not stays for one, stays in by_control if one.error],
        "control_true": [stays for one, stays in by_control if not one.error],
        "uncited": sum(not one.pictures for one in sentences),
        "used": len({n for one in sentences for n in one.pictures}),
        "pictures": len(album.pictures),
        "survived": [one.line.text for one, stays in by_ours if one.error and stays],
        "lost": [
            (d.text, [f"{c.text}: {c.why}" for c in d.claims]) for d in story.dropped if d.text in untrue
        ],
        "seconds": seconds,
    }


def share(values: Sequence[bool]) -> float:
    """Of those that hold; 1 where there are none."""
    return sum(values) / len(values) if values else 1.0


def kendall_tau(order: Sequence[int]) -> float:
    """Kendall's tau of an order of numbers against the growing one (Kendall, 1938); 1 for fewer than two."""
    pairs = [(a < b) - (a > b) for at, a in enumerate(order) for b in order[at + 1 :]]
    return sum(pairs) / len(pairs) if pairs else 1.0


def composed(folder: Path, seen: Perceived) -> dict[str, Any]:
    """The composer's story of a folder: coverage, order, chapters and towns."""
    settings = CaptureSettings(max_pixels=MOST_PIXELS)
    album = read_album(folder, settings, lambda done, total: None)
    seen.add([one.path for one in album.pictures if one.media == "photo"])
    pictures = story_pictures(album, with_people=False)
    story = told(pictures, seen, wish=StoryWish())
    sentences = sentences_of(story)
    cited = list(dict.fromkeys(n for one in sentences for n in one.pictures))
    return {
        "folder": folder.name,
        "files": len(album.pictures),
        "told": len(set(cited)),
        "left_out": len(album.left_out),
        "uncited": sum(not one.pictures for one in sentences),
        "kendall_tau": round(kendall_tau(cited), 3),
        "chapters": [chapter.title for chapter in story.chapters],
        "failed": story.rounds[0].failed,
    }


def label_table(photos: Sequence[Path], seen: Perceived) -> list[tuple[str, float, float, int]]:
    """For thresholds of the share: how often the first noun is right, and how many photos have one."""
    rows = []
    known = [path for path in photos if path.name in SEEN]
    for least in (0.25, 0.35, 0.5, 0.6, 0.8, 0.9):
        right = said = 0
        for path in known:
            labels = seen.by_source[ContentHash(path).all()][0].payload["labels"]
            things = shares_of([(n, s) for n, s in labels]).things  # type: ignore[attr-defined]
            if things and things[0].share >= least:
                said += 1
                right += shares_of([(things[0].noun, 1.0)]).of(SEEN[path.name]) > 0
        rows.append((f"{least:.2f}", right / said if said else 1.0, said / max(1, len(known)), said))
    return rows


def summed(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures over all albums."""
    planted = [pair for one in results for pair in one["planted"]]
    return {
        "planted_removed": share([gone for _, gone in planted]),
        "true_kept": share([kept for one in results for kept in one["true"]]),
        "control_planted_removed": share([gone for one in results for gone in one["control_planted"]]),
        "control_true_kept": share([kept for one in results for kept in one["control_true"]]),
        "uncited": sum(one["uncited"] for one in results),
        "used": sum(one["used"] for one in results) / max(1, sum(one["pictures"] for one in results)),
        "by_error": {error: share([gone for kind, gone in planted if kind == error]) for error in ERRORS},
        "n_planted": len(planted),
        "n_true": sum(len(one["true"]) for one in results),
    }


def main() -> int:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--albums", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--album", type=Path, action="append", default=[])
    parser.add_argument("--labels", action="store_true", help="print how often labels are right by threshold")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    began_s = time.perf_counter()
    photos = sorted(p for p in asked.photos.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES)
    seen = Perceived()
    seen.add(photos)
    perceived_s = time.perf_counter() - began_s
    results = [measured(album, seen) for album in albums_of(photos, asked.albums, asked.seed)]
    figures = summed(results)
    stories = [composed(folder, seen) for folder in asked.album]
    print(
        f"{len(results)} albums of {len(photos)} photos; "
        f"{figures['n_planted']} planted, {figures['n_true']} true"
    )
    print(f"{'':24}{'planted removed':>16}{'true kept':>12}")
    print(f"{'ours':24}{figures['planted_removed']:>16.3f}{figures['true_kept']:>12.3f}")
    print(
        f"{'rewrite-only':24}{figures['control_planted_removed']:>16.3f}{figures['control_true_kept']:>12.3f}"
    )
    for error, value in figures["by_error"].items():
        print(f"  {error:22}{value:>16.3f}")
    print(f"sentences without a picture {figures['uncited']}; pictures used {figures['used']:.3f}")
    for one in stories:
        print(
            f"{one['folder']}: {one['told']} of {one['files']} told, tau {one['kendall_tau']}, "
            f"{one['chapters']}"
        )
    if asked.labels:
        for least, right, told_share, n in label_table(photos, seen):
            print(f"share >= {least}: right {right:.2f}, told {told_share:.2f} ({n})")
    for text in [text for one in results for text in one["survived"]][:5]:
        print(f"  planted and told: {text}")
    reasons = [why for one in results for _, whys in one["lost"] for why in whys]
    for why in sorted(set(reasons), key=lambda w: -reasons.count(w))[:8]:
        print(f"  true but not told ({reasons.count(why)}): {why}")
    if asked.json:
        document = {
            "tool": "eval_story",
            "data": asked.photos.name,
            "items": figures["n_planted"] + figures["n_true"],
            "config": {"albums": asked.albums, "seed": asked.seed},
            "models": {"labels": "efficientnet-lite0", "text": "pp-ocrv6"},
            "seconds": round(time.perf_counter() - began_s, 1),
            "perceived_s": round(perceived_s, 1),
            "systems": {
                "ours": {
                    "planted_removed": figures["planted_removed"],
                    "true_kept": figures["true_kept"],
                    "uncited": figures["uncited"],
                },
                "rewrite_only": {
                    "planted_removed": figures["control_planted_removed"],
                    "true_kept": figures["control_true_kept"],
                },
            },
            "by": {"error": {error: {"ours": value} for error, value in figures["by_error"].items()}},
            "stories": stories,
        }
        asked.json.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
