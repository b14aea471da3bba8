"""Settings of the processes themselves: threads, heartbeats, restarts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CpuSettings(BaseModel):
    """How a process may use the processor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int = Field(
        default=1,
        ge=1,
        le=64,
        description="threads per process of OpenMP, MKL, torch, onnxruntime, OpenCV and FAISS; "
        "work scales by processes: two threads in one process cost 31 % more CPU for the same wall time",
    )
    nice: bool = Field(default=True, description="lower the priority of perception beneath that of questions")


class SupervisorSettings(BaseModel):
    """How processes are watched and restarted (Paranoid Pirate: beat 1 s, liveness 3)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beat_s: float = Field(default=1.0, gt=0, description="seconds between two heartbeats of a role")
    silent_s: float = Field(default=3.5, gt=0, description="seconds without a heartbeat: the role is dead")
    hung_s: float = Field(
        default=120.0, gt=0, description="seconds that one piece of work in a lane may take"
    )
    start_s: float = Field(default=60.0, gt=0, description="seconds a role may take until it serves")
    drain_s: float = Field(default=10.0, gt=0, description="seconds a role may take to finish when asked")
    backoff_s: float = Field(default=0.5, gt=0, description="wait before the first restart; doubles")
    backoff_max_s: float = Field(default=32.0, gt=0, description="longest wait before a restart")
    breaker_restarts: int = Field(
        default=5, ge=1, description="restarts within breaker_s that open the breaker"
    )
    breaker_s: float = Field(default=60.0, gt=0, description="window of the breaker in seconds")
    captures: int = Field(
        default=2,
        ge=1,
        description="files read at the same time; with two, one starts and ends while the other is perceived",
    )
    least_free_bytes: int = Field(
        default=64_000_000,
        ge=0,
        description="room on the store's disk below which intake waits; questions are still answered",
    )
    log_bytes: int = Field(default=5_000_000, ge=10_000, description="size at which a role's log is rotated")
    trace: bool = Field(default=False, description="record each hop of frames, utterances and questions")

    @property
    def handover_s(self) -> float:
        """Seconds in which an ending process lets go of its files: it drains, and needs beats to notice."""
        return self.drain_s + 5.0 * self.beat_s

    @property
    def least_start_s(self) -> float:
        """Seconds that a start in vain must take, so that starts without end stay below the breaker."""
        return self.breaker_s / max(1, self.breaker_restarts - 1)
