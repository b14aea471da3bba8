#!/bin/sh
# Makes the virtual environment. Called by `make setup` when something has changed;
# every step is idempotent, so it may be interrupted and run again.
set -eu
PYTHON="${PYTHON:-python3}"
VENV="${VENV:-.venv}"

say() { printf '%s\n' "setup: $*"; }

[ -x "$VENV/bin/python" ] || { say "making $VENV"; "$PYTHON" -m venv "$VENV"; }
pip="$VENV/bin/python -m pip --disable-pip-version-check --quiet install"

has_nvidia() { [ -e /dev/nvidiactl ] || { command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; }; }

# faiss-cpu and faiss-gpu own the same module: whichever is not wanted has to go.
if has_nvidia; then
    say "NVIDIA GPU found: the CUDA stack"
    $pip 'torch==2.13.0'
    "$VENV/bin/python" -m pip --quiet uninstall -y faiss-cpu >/dev/null 2>&1 || true
    $pip -e '.[gpu,web,llm,dev]'
else
    say "no NVIDIA GPU found: the CPU stack"
    # torch first and alone: any package resolved before it would draw several GB of CUDA in.
    # Where pip is offered a CPU build of this version it takes that one.
    if ! "$VENV/bin/python" -c 'import importlib.metadata as m; assert m.version("torch").split("+")[0] == "2.13.0"' 2>/dev/null; then
        $pip "torch==2.13.0"
    fi
    # torchaudio does not import beside CPU torch and then breaks transformers.
    "$VENV/bin/python" -m pip --quiet uninstall -y faiss-gpu torchaudio >/dev/null 2>&1 || true
    $pip -e '.[cpu,web,llm,dev]'
fi

# A baseline of tools.eval_video. It asks for opencv-python, which overwrites the headless build that we use.
$pip --no-deps 'scenedetect>=0.7,<0.8' || say "scenedetect could not be installed: tools.eval_video leaves its rows out"

# The timeline page is tested in a real browser.
if ! command -v chromium >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing Debian's chromium for the browser tests"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >"$VENV/chromium.log" 2>&1 \
            || say "chromium could not be installed ($VENV/chromium.log): the tests marked 'browser' will be skipped"
    else
        say "no chromium, and not root: the tests marked 'browser' will be skipped"
    fi
fi
say "done"
