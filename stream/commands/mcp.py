"""`omnirecall mcp`: the memory as tools of another program, over its standard input and output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.commands import options

if TYPE_CHECKING:
    from stream.gateway.on_demand import OnDemand


def mcp(
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
) -> None:
    """Serve the memory to an MCP client that started this command, until it closes standard input.

    Tools that read: search, ask, timeline, places, people. With gateway.mcp_writes in the configuration
    also remember and forget. Standard output carries the protocol alone.
    """
    import asyncio

    from stream.commands.terminal import note
    from stream.config import load_config
    from stream.errors import ConfigError

    try:
        from stream.gateway.mcp_server import mcp_server
        from stream.gateway.on_demand import OnDemand
        from stream.gateway.settings import GatewaySettings
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise ConfigError(
            "the MCP library is not installed",
            remedy="pip install 'omnirecall[web]', in the same environment",
        ) from None
    store_dir = options.store_dir(store)
    settings = load_config(preset, config).typed("gateway", GatewaySettings)

    async def serve() -> None:
        processes = OnDemand(store_dir, preset=preset, config_file=config, idle_exit_s=idle_exit)
        warm = asyncio.create_task(_warm(processes))
        try:
            server = mcp_server(processes, dialogue=f"stdio {store_dir}", writes=settings.mcp_writes)
            await server.run_stdio_async()
        finally:
            warm.cancel()
            processes.close()

    note(f"MCP over standard input and output for {store_dir}; it ends when standard input does")
    asyncio.run(serve())


async def _warm(processes: OnDemand) -> None:
    """Has the processes start while the client is still asking what there is; a call tells what fails."""
    import contextlib

    from stream.errors import OmniRecallError

    with contextlib.suppress(OmniRecallError):
        await processes.start()
