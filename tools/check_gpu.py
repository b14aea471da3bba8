"""What a GPU answers beside what the CPU answers: vector indexes, and models by torch.

`python -m tools.check_gpu [--quick] [--json FILE]` on a machine with a GPU, faiss-gpu, torch and
transformers; of the house it needs `memory.keys`, `perception.encoder` and `stream`. Vectors are made
here, random and in clusters; weights are random. It checks that

- the copy on the GPU finds what its master finds, keys that differ by less than 1e-3 in any order;
- a removed key is never found, also when so many were removed that the copy is made anew;
- where the GPU has no memory left, the master answers;
- keys made on the GPU in half precision are those of the CPU in single, by a cosine of .99;

and prints the latencies of both. It ends with 1 if one of these is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.keys.gpu import MOST_FOUND, MOST_HIDDEN, faiss_library
from memory.keys.vectors import FlatIndex, Hits, IvfIndex, unit_rows
from perception.encoder.joint import JointEncoder
from perception.encoder.pretrained import Device
from perception.encoder.sentences import SentenceEncoder
from stream.models.named import NamedModel
from tools import tiny_models

Vectors = npt.NDArray[np.float32]
Index = FlatIndex | IvfIndex

DIMENSION = 384
SIZES = (10_000, 100_000, 1_000_000)
TIE = 1e-3
"""Scores nearer than this are not told apart."""
LEAST_COSINE = 0.99
QUERIES = 200
K = 100
LISTS_PER_ROOT = 2
"""Lists of an inverted index per square root of its size."""
OTHER_LISTS = 0.01
"""Share of queries on which two coarse quantizers may choose another last list."""


@dataclass(slots=True)
class Report:
    """What was seen, and what was not as it should be."""

    figures: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def check(self, is_so: bool, what: str) -> None:
        """Notes and prints whether something is as it should be."""
        print(f"{'ok  ' if is_so else 'FAIL'} {what}", flush=True)
        if not is_so:
            self.failures.append(what)

    def tell(self, name: str, value: Any) -> None:
        """Notes and prints a figure."""
        print(f"     {name}: {value}", flush=True)
        self.figures[name] = value


def unit(rows: Vectors) -> Vectors:
    """Rows of length one."""
    made: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


def make_vectors(n: int, data: str, seed: int) -> Vectors:
    """`n` unit rows (n, 384): `random`, or `clustered` around n / 200 centres.

    As a store gives them, from float16: files of exact indexes keep no more.
    """
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, DIMENSION), dtype=np.float32)
    if data == "clustered":
        # The centres are those of every seed, so that queries lie among the keys.
        centres = np.random.default_rng(99).standard_normal((max(n // 200, 50), DIMENSION), dtype=np.float32)
        for start in range(0, n, 65_536):
            part = rows[start : start + 65_536]
            part *= np.float32(0.7)
            part += centres[rng.integers(0, len(centres), len(part))]
    return unit_rows(unit(rows).astype(np.float16), DIMENSION)


def queries_near(vectors: Vectors, seed: int) -> Vectors:
    """Queries at a cosine of about .6 to some of the vectors, as questions lie to their answers."""
    rng = np.random.default_rng(seed)
    chosen = vectors[rng.integers(0, len(vectors), QUERIES)]
    noise = unit(rng.standard_normal(chosen.shape, dtype=np.float32))
    return unit(0.6 * chosen + 0.8 * noise)


def make_index(kind: str, vectors: Vectors, *, gpu: bool) -> Index:
    """An index over vectors whose ids are 10, 20, 30 …; training uses every CPU."""
    faiss = faiss_library()
    ids = np.arange(1, len(vectors) + 1, dtype=np.int64) * 10
    if kind == "flat":
        flat = FlatIndex("check", DIMENSION, gpu=gpu)
        flat.add(ids, vectors)
        return flat
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    nlist = LISTS_PER_ROOT * int(len(vectors) ** 0.5)
    inner = faiss.index_factory(DIMENSION, f"IVF{nlist},SQ8", faiss.METRIC_INNER_PRODUCT)
    inner.nprobe = max(nlist // 16, 8)
    inner.train(vectors[:: max(1, len(vectors) // (40 * nlist))])
    inner.add_with_ids(vectors, ids)
    faiss.omp_set_num_threads(1)
    return IvfIndex("check", inner, gpu=gpu)


def disagreement(one: Hits, other: Hits) -> str:
    """What two answers to one query differ in beyond ties; empty if in nothing."""
    if len(one.ids) != len(other.ids):
        return f"{len(one.ids)} and {len(other.ids)} hits"
    for left, right in ((one, other), (other, one)):
        scores = dict(zip(right.ids.tolist(), right.scores.tolist(), strict=True))
        last = float(right.scores[-1])
        for key_id, score in zip(left.ids.tolist(), left.scores.tolist(), strict=True):
            if key_id not in scores and score > last + TIE:
                return f"key {key_id} of {score:.4f} is missing, the last has {last:.4f}"
            if abs(scores.get(key_id, score) - score) > TIE:
                return f"key {key_id} has {score:.4f} and {scores[key_id]:.4f}"
    return ""


def compare(report: Report, name: str, cpu: Index, gpu: Index, queries: Vectors) -> None:
    """Both answer every query; asserts that they agree but for ties, and tells how often exactly."""
    found = [(cpu.search(query, K), gpu.search(query, K)) for query in queries]
    differing = [told for one, other in found if (told := disagreement(one, other))]
    same = float(np.mean([np.array_equal(one.ids, other.ids) for one, other in found]))
    report.tell(f"{name}: answers with the very same order", round(same, 3))
    allowed = 0 if cpu.kind == "flat" else int(OTHER_LISTS * len(queries))
    what = f"{name}: {len(differing)} of {len(queries)} answers differ beyond ties (at most {allowed})"
    report.check(len(differing) <= allowed, what + (f", such as: {differing[0]}" if differing else ""))


def time_ms(index: Index, queries: Vectors) -> dict[str, float]:
    """Milliseconds of a search for `K`, one query at a time."""
    took_ms = []
    for query in [*queries[:10], *queries]:
        started_s = time.perf_counter()
        index.search(query, K)
        took_ms.append((time.perf_counter() - started_s) * 1e3)
    p50, p95 = np.percentile(took_ms[10:], (50, 95))
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}


def check_removal(report: Report, name: str, cpu: Index, gpu: Index, queries: Vectors) -> None:
    """Removes what is found most, twice: a little, then more than a copy hides; then adds more."""
    for share in (0.4, 1.5):
        # Only from what queries find, so that every removed key would be found again.
        found = np.concatenate([cpu.search(query, K).ids for query in queries])
        gone = np.unique(found)[: int(share * MOST_HIDDEN)]
        counts = cpu.remove(gone), gpu.remove(gone)
        report.check(counts == (len(gone), len(gone)), f"{name}: {len(gone)} keys removed from both")
        back = sum(int(np.isin(gpu.search(query, K).ids, gone).sum()) for query in queries)
        report.check(back == 0, f"{name}: {back} removed keys found by the GPU")
        compare(report, f"{name}, {len(gone)} removed", cpu, gpu, queries)
    added = make_vectors(1_000, "random", seed=5)
    ids = np.arange(1_000, dtype=np.int64) + 50_000_000
    for index in (cpu, gpu):
        index.add(ids, added)
        index.add(gone[:50], added[:50])  # keys that were hidden come back as others
    misses = sum(ids[place] not in gpu.search(added[place], 2).ids for place in range(50, 100))
    misses += sum(gone[place] not in gpu.search(added[place], 2).ids for place in range(50))
    report.check(misses == 0, f"{name}: {misses} of 100 added keys not found by the GPU")
    report.check(gpu.on_gpu, f"{name}: still on the GPU")
    wide = gpu.search(queries[0], MOST_FOUND + 500)
    same = np.array_equal(wide.ids, cpu.search(queries[0], MOST_FOUND + 500).ids)
    report.check(same and gpu.on_gpu, f"{name}: more than a GPU selects comes from the master")


def check_indexes(report: Report, sizes: Sequence[int]) -> None:
    """Flat and inverted lists, by size and kind of data."""
    for n in sizes:
        for data in ("random", "clustered") if n <= 100_000 else ("clustered",):
            vectors = make_vectors(n, data, seed=n)
            queries = queries_near(vectors, seed=3)
            for kind in ("flat", "ivf-sq8") if n >= 100_000 else ("flat",):
                name = f"{kind} {data} {n}"
                started_s = time.perf_counter()
                cpu = make_index(kind, vectors, gpu=False)
                gpu: Index = (
                    FlatIndex.load("check", cpu.dump(), gpu=True)
                    if kind == "flat"
                    else IvfIndex.load("check", cpu.dump(), gpu=True)
                )
                report.tell(f"{name}: seconds to make both", round(time.perf_counter() - started_s, 1))
                report.check(gpu.on_gpu, f"{name}: the copy is on the GPU")
                report.tell(f"{name}: CPU ms", time_ms(cpu, queries))
                report.tell(f"{name}: GPU ms", time_ms(gpu, queries))
                compare(report, name, cpu, gpu, queries)
                if n == 100_000:
                    check_removal(report, name, cpu, gpu, queries)
                del cpu, gpu


def check_want_of_memory(report: Report) -> None:
    """With the GPU's memory taken, an index grows, answers and is loaded; its master does it."""
    import torch

    vectors = make_vectors(400_000, "random", seed=8)
    queries = queries_near(vectors, seed=4)[:20]
    cpu = make_index("flat", vectors, gpu=False)
    gpu = make_index("flat", vectors[:1_000], gpu=True)
    report.check(gpu.on_gpu, "before the memory is taken: on the GPU")
    taken = []
    for size in (1 << 30, 1 << 26, 1 << 22):
        try:
            while True:
                taken.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
        except torch.cuda.OutOfMemoryError:
            continue
    gpu.add(np.arange(1_001, len(vectors) + 1, dtype=np.int64) * 10, vectors[1_000:])
    report.check(not gpu.on_gpu, "no memory left while it grows: on the master")
    compare(report, "no memory left", cpu, gpu, queries)
    loaded = FlatIndex.load("check", cpu.dump(), gpu=True)
    report.check(not loaded.on_gpu, "no memory left while it is loaded: on the master")
    taken.clear()
    torch.cuda.empty_cache()
    report.check(FlatIndex.load("check", cpu.dump(), gpu=True).on_gpu, "memory given back: on the GPU")


def _named(folder: Path) -> NamedModel:
    return NamedModel(str(folder), folder, folder.name, "random")


def _least_cosine(one: Vectors, other: Vectors) -> float:
    return float(np.sum(one * other, axis=1).min())


def check_models(report: Report, folder: Path) -> None:
    """The classes of models that can be configured, tiny, on both devices."""
    texts = ["a photo of a cat", "the red boat is where ?", "what is said . " * 20] * 11
    rng = np.random.default_rng(2)
    images = [rng.integers(0, 256, (40 + i, 90 - i, 3), dtype=np.uint8) for i in range(24)]
    for kind in ("clip", "siglip", "siglip2"):
        model = _named(tiny_models.make_joint(folder / kind, kind))
        cpu, cuda = JointEncoder(model, Device("cpu")), JointEncoder(model, Device("cuda"))
        pairs = {
            "pictures": (cpu.encode(images)[0], cuda.encode(images)[0]),
            "texts": (cpu.encode_texts(texts), cuda.encode_texts(texts)),
        }
        for what, (one, other) in pairs.items():
            least = round(_least_cosine(one, other), 5)
            report.tell(f"{kind} {what}: least cosine of fp16 on the GPU to fp32", least)
            report.check(least >= LEAST_COSINE, f"{kind} {what}: cosine of {LEAST_COSINE} at least")
        report.check(cpu.encoder_id != cuda.encoder_id, f"{kind}: two precisions are two encoders")
    model = _named(tiny_models.make_sentences(folder / "sentences"))
    one, other = (SentenceEncoder(model, Device(name)).encode(texts) for name in ("cpu", "cuda"))
    least = round(_least_cosine(one, other), 5)
    report.tell("sentences: least cosine of fp16 on the GPU to fp32", least)
    report.check(least >= LEAST_COSINE, f"sentences: cosine of {LEAST_COSINE} at least")


def time_pictures(report: Report, folder: Path) -> None:
    """Pictures per second of a network of CLIP ViT-B/32's size with random weights, 720p pictures."""
    import torch
    import transformers

    torch.manual_seed(1)
    words = tiny_models.tokenizer()
    network: Any = transformers.CLIPModel(transformers.CLIPConfig())
    for part in (network, words, transformers.CLIPImageProcessorPil()):
        part.save_pretrained(folder)
    rng = np.random.default_rng(6)
    images = [rng.integers(0, 256, (720, 1280, 3), dtype=np.uint8) for _ in range(32)]
    made: dict[str, Vectors] = {}
    for name in ("cpu", "cuda"):
        encoder = JointEncoder(_named(folder), Device(name), threads=os.cpu_count() or 1)
        encoder.encode(images[:8])
        started_s = time.perf_counter()
        made[name] = encoder.encode(images)[0]
        took_s = time.perf_counter() - started_s
        report.tell(f"ViT-B/32 in size, {name}: pictures per second", round(len(images) / took_s, 1))
    least = round(_least_cosine(made["cpu"], made["cuda"]), 5)
    report.check(least >= LEAST_COSINE, f"ViT-B/32 in size: least cosine {least}, at least {LEAST_COSINE}")


def machine() -> dict[str, object]:
    """What this machine is, and the versions of what is checked."""
    import torch
    import transformers

    faiss = faiss_library()
    return {
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "gpus_by_faiss": faiss.get_num_gpus(),
        "cpus": os.cpu_count(),
        "versions": {
            "python": sys.version.split()[0],
            "numpy": np.__version__,
            "faiss": faiss.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="no million keys, no network of full size")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args(arguments)
    report = Report()
    report.figures |= machine()
    print(json.dumps(report.figures), flush=True)
    if not (report.figures["gpu"] and report.figures["gpus_by_faiss"]):
        print("there is no GPU here that both torch and FAISS see", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as folder:
            check_models(report, Path(folder))
            if not options.quick:
                time_pictures(report, Path(folder) / "full")
        check_indexes(report, SIZES[:2] if options.quick else SIZES)
        check_want_of_memory(report)
    finally:
        if options.json is not None:
            told = {"version": 1, **report.figures, "failures": report.failures}
            options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    print(f"{len(report.failures)} failures")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
