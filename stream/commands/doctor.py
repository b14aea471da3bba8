"""`omnirecall doctor`: whether this machine has what the processes need, and what to do if not."""

from __future__ import annotations

import typer

from stream.commands import options


def doctor(store: options.Store = None, as_json: options.AsJson = False) -> None:
    """Check Python, packages, models, GPU, disk, store and sockets; say what to do about each fault."""
    from stream.commands.checks import all_checks
    from stream.commands.terminal import clean, say, say_json

    checks = list(all_checks(options.store_dir(store)))
    bad = [check for check in checks if check.finding == "bad"]
    if as_json:
        listed = [{"name": c.name, "finding": c.finding, "told": c.told, "remedy": c.remedy} for c in checks]
        say_json({"ok": not bad, "checks": listed})
    else:
        for check in checks:
            say(f"{check.finding:>4}  {check.name}: {clean(check.told)}")
            if check.remedy and check.finding != "ok":
                say(f"      {clean(check.remedy)}")
    if bad:
        raise typer.Exit(bad[0].exit_code)
