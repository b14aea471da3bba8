"""Tools of the developers: benchmarks, evaluations, generators. Never installed."""
