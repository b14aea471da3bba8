"""Control: roles and their supervisor, sources on demand, health, errors and small events."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.envelope import Message, topic
from stream.messages.media import Policy


@topic("role.hello")
class RoleHello(Message, frozen=True, kw_only=True):
    """a role → supervisor: it has set up and serves. `name` tells instances of a role apart."""

    role: str
    name: str
    pid: int


@topic("role.beat")
class RoleBeat(Message, frozen=True, kw_only=True):
    """a role → supervisor, each second, from the loop that it vouches for.

    `working_s` is the age of the oldest piece of work in its lanes: a loop that beats
    beside a lane that hangs is found by it. `counters` are the role's metrics.
    """

    role: str
    name: str
    pid: int
    working_s: float = 0.0
    queued: int = 0
    rss_bytes: int = 0
    counters: dict[str, float] = {}


@topic("role.drain")
class RoleDrain(Message, frozen=True, kw_only=True):
    """supervisor → a role: finish what is in hand within `within_s`, then say bye."""

    reason: str
    within_s: float = 10.0


@topic("role.bye")
class RoleBye(Message, frozen=True, kw_only=True):
    """a role → supervisor: it ends by itself; `failed` names an error that a restart won't mend."""

    role: str
    name: str
    pid: int
    failed: str = ""


@topic("source.open")
class SourceOpen(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands, gateway → supervisor: read this source.

    `uri` is a file or, of a live source, `camera:DEVICE`, `microphone:DEVICE`, `browser:NAME`,
    `rtsp://…`, `rtsps://…`, `http://…` or `https://…`; what it says of a user and a password is kept from
    every other message. From the gateway only what the configuration allows is opened.
    `as_camera` plays a file in real time as if it were a camera. `as_text` reads it as a chat,
    a transcript or a meeting. `recorded_at_ns` is the owner's word for the UTC time of its
    start, and `time_zone` for the zone of times in it that tell none (IANA).
    """

    uri: str
    policy: Policy = "lossless"
    as_camera: bool = False
    recorded_at_ns: int | None = None
    as_text: bool = False
    time_zone: str = ""


@topic("source.close")
class SourceClose(Message, frozen=True, kw_only=True):
    """commands, gateway → supervisor: stop reading this source."""

    uri: str


@topic("source.pause")
class SourcePause(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands, gateway → supervisor → capture: close the device of a live source, or open it again.

    An empty `uri` means all live sources, those that are opened later included. `until_ns` is the UTC time
    at which it resumes by itself, 0: when somebody says so. The stretch is a gap with its reason. To whom
    it asks the supervisor answers with `sources.state`.
    """

    uri: str
    paused: bool = True
    reason: str = ""
    until_ns: int = 0


@topic("source.state")
class SourceState(Message, frozen=True, kw_only=True, omit_defaults=True):
    """capture → supervisor → commands: how reading a source goes, or how it ended.

    `read`, `sent` and `dropped` count sampled frames; `audio_*` count chunks. Of a text they
    count turns: those in it, and those that memory did not have before. `errors` counts
    packets that could not be decoded. `notes` tell what was left out, assumed or
    taken from beside the file, also of one that was read to its end.

    A live source is `lost` while it cannot be had and is tried again, and `paused` while its device is
    closed on purpose; `since_ns` is the UTC time since which that holds. `kind` is `file`, `text`, `camera`,
    `microphone`, `network` or `browser`. `endpoint` is where `media.push` and `frame.ask` of it are
    taken. `gaps` counts stretches that were missed, `opened` how often its device or address was opened.
    `rate_hz` are the pictures per second that are wanted now, `slowed` how often they were halved
    since they were perceived too slowly, and `lag_s` how far what is sent is behind the present.
    """

    uri: str
    state: Literal["starting", "reading", "lost", "paused", "done", "partial", "rejected", "closed"]
    source_id: bytes = b""
    session: int = 0
    reason: str = ""
    remedy: str = ""
    duration_ns: int | None = None
    position_ns: int = 0
    read: int = 0
    sent: int = 0
    dropped: int = 0
    audio_read: int = 0
    audio_sent: int = 0
    audio_dropped: int = 0
    errors: int = 0
    notes: tuple[str, ...] = ()
    kind: str = ""
    live: bool = False
    endpoint: str = ""
    since_ns: int = 0
    gaps: int = 0
    opened: int = 0
    rate_hz: float = 0.0
    slowed: int = 0
    lag_s: float = 0.0


@topic("source.sent")
class SourceSent(Message, frozen=True, kw_only=True):
    """capture → supervisor: whether everything of a source was sent.

    It then waits only for memory to have the ends, and another may be opened. A perception
    process that was restarted may want some of it again.
    """

    uri: str
    all_sent: bool = True


@topic("sources.ask")
class SourcesAsk(Message, frozen=True, kw_only=True):
    """commands → supervisor: how does reading these sources go?

    The cost of the answer follows what is asked, not how many sources were ever read.
    """

    uris: tuple[str, ...] = ()


@topic("sources.state")
class SourcesState(Message, frozen=True, kw_only=True):
    """supervisor → commands: those of the asked sources that it knows, and whether there is room.

    One that is missing was never opened, or by a supervisor that is no more. `room` is how
    many may be opened now; `broken` names processes that keep failing; `paused` says why
    intake waits (no room on the store's disk), empty where it does not.
    """

    sources: tuple[SourceState, ...] = ()
    room: int = 0
    broken: str = ""
    paused: str = ""


@topic("status.ask")
class StatusAsk(Message, frozen=True, kw_only=True):
    """commands, gateway → supervisor, memory: how are you?"""


class RoleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process as the supervisor sees it; `state` is a `stream.process.supervisor.State`."""

    role: str
    name: str
    pid: int
    state: str
    restarts: int
    age_s: float
    rss_bytes: int = 0
    last_error: str = ""
    counters: dict[str, float] = {}


@topic("status.roles")
class StatusRoles(Message, frozen=True, kw_only=True):
    """supervisor → commands, gateway: every process and every source it reads."""

    roles: tuple[RoleStatus, ...] = ()
    sources: tuple[SourceState, ...] = ()
    store: str = ""
    ready: bool = False


class TrackStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far memory knows one track."""

    track: int
    media: str
    through_pts_ns: int | None
    eof: bool


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What memory holds of one source and session.

    `newest_frame_t_ns` is the UTC time of the newest picture that a committed observation
    describes.
    """

    source_id: bytes
    session: int
    kind: str
    uri: str
    duration_ns: int | None
    tracks: tuple[TrackStatus, ...]
    observations: int
    newest_frame_t_ns: int | None = None
    consolidated: bool = False


class SourceHeld(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file's content, or a chat, as memory holds it; `uris` are where it was met, the newest first.

    `t_origin_ns` is the UTC time of pts 0, which stays; None where it is not known yet.
    `missing` says why its end was never perceived, empty where it was. `time_zone` is that of times
    without one, as it was told first. `forgotten`: the owner had it forgotten as a whole; nothing else
    is known of it, and it is refused.
    """

    source_id: bytes
    session: int
    uris: tuple[str, ...]
    duration_ns: int | None
    tracks: tuple[TrackStatus, ...]
    consolidated: bool
    t_origin_ns: int | None = None
    t_origin_from: str = ""
    missing: str = ""
    time_zone: str = ""
    forgotten: bool = False


@topic("sources.find")
class SourcesFind(Message, frozen=True, kw_only=True):
    """commands, capture → memory: what is held of these contents, or was met under these uris?"""

    source_ids: tuple[bytes, ...] = ()
    uris: tuple[str, ...] = ()


@topic("sources.found")
class SourcesFound(Message, frozen=True, kw_only=True):
    """memory → commands, capture: those of them that are held, files and chats only."""

    sources: tuple[SourceHeld, ...] = ()


@topic("turns.find")
class TurnsFind(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands, capture → memory: which turns of this chat are held? A page, after the last one told."""

    source_id: bytes
    session: int = 0
    after_commit: int = 0
    after_n: int = 0


@topic("turns.found")
class TurnsFound(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands, capture: utterances and captions in the order in which they were committed.

    `ids` are those of the observations, 16 bytes each, and `pts0_ns` where each begins. The next page
    comes after `after_commit` and `after_n`; both are 0 on the last one. `is_forgotten`: something of
    the source was forgotten, so that what is committed of it may be refused.
    """

    ids: bytes = b""
    pts0_ns: tuple[int, ...] = ()
    after_commit: int = 0
    after_n: int = 0
    is_forgotten: bool = False


@topic("likeness.ask")
class LikenessAsk(Message, frozen=True, kw_only=True):
    """commands → memory: which other files have the same pictures or words as this source?"""

    source_id: bytes
    session: int = 0


class Likeness(msgspec.Struct, frozen=True, kw_only=True):
    """Another file with the same content under other bytes.

    `share` of the shorter of the two is found in the longer at one offset; `by` is what was
    compared. `offset_ns` is where the asked source begins in the other (negative: the
    other begins within it).
    """

    source_id: bytes
    uri: str
    share: float
    by: Literal["pictures", "words"]
    offset_ns: int = 0


@topic("likeness.found")
class LikenessFound(Message, frozen=True, kw_only=True):
    """memory → commands: near-duplicates, the likest first."""

    items: tuple[Likeness, ...] = ()


@topic("history.ask")
class HistoryAsk(Message, frozen=True, kw_only=True):
    """commands → memory: how long did reading take so far, and how much room?"""


@topic("history.told")
class HistoryTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands: measured on the files last read to their end; `n_files` 0 where there are none.

    Reading a file took about `per_file_s` and `per_media_s` for each second of it, alone;
    `n_bytes_per_media_s` is what a second of media takes on disk, `n_bytes_per_file` what a file
    without a length takes, a photo; 0 where none was read.
    """

    n_files: int = 0
    media_s: float = 0.0
    per_file_s: float = 0.0
    per_media_s: float = 0.0
    n_bytes_per_media_s: float = 0.0
    n_bytes_per_file: float = 0.0


@topic("status.memory")
class StatusMemory(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands, gateway: counts, sizes and health of the store.

    `lexicon` is how texts are found by their words; `reindex` is told while another encoder is
    wanted than the one that answers, as `reindex.told` has it. `pending_turns` of `pending_keys`
    are turns of chats whose facts have no keys yet. `short_term` and `clips` count what is held of
    live sources, what was shed, and what could not be had. `retention` is as `retention.told` has it.
    """

    commit_no: int
    schema: int
    counts: dict[str, int] = {}
    n_bytes: dict[str, int] = {}
    indexes: dict[str, dict[str, object]] = {}
    sources: tuple[SourceStatus, ...] = ()
    pending_keys: int = 0
    lexicon: dict[str, object] = {}
    reindex: dict[str, object] = {}
    pending_turns: int = 0
    short_term: dict[str, int] = {}
    clips: dict[str, int] = {}
    retention: dict[str, object] = {}


@topic("reindex.ask")
class ReindexAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands → memory: how does making the keys of texts anew go?

    With `begin` the model that answers questions is chosen first: `text`, or where `configured`
    that of the configuration; with neither a choice stands as it is. `keep_old` says whether
    replaced keys stay; None: as before. Without `begin` nothing changes: how it would go by
    that model is told.
    """

    begin: bool = False
    text: str = ""
    keep_old: bool | None = None
    configured: bool = False
    views: bool = False


@topic("reindex.told")
class ReindexTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands: whose keys answer, whose are made, and how many there are.

    `answering` and `wanted` are ids of encoders, empty where they are not known, with their
    models. `made` of `total` keys of the wanted one are there, each turn of a chat with all that it
    states counted once, which are `turns_made` and `turns_total` of them; `unencodable` texts it fails on.
    `replaced` are keys by encoder that answer no more, which stay if `keep_old`. `over`: the
    wanted one answers, and nothing is left to do. `problems` say why it does not go on. `views_made` of
    some `views_total` events were made anew from the log; `views_over`: they stand, and the tree above them.
    """

    answering: str = ""
    answering_model: str = ""
    answering_keys: int = 0
    wanted: str = ""
    wanted_model: str = ""
    made: int = 0
    total: int = 0
    unencodable: int = 0
    replaced: dict[str, int] = {}
    keep_old: bool = False
    over: bool = False
    problems: tuple[str, ...] = ()
    turns_made: int = 0
    turns_total: int = 0
    views_made: int = 0
    views_total: int = 0
    views_over: bool = True


@topic("error.reply")
class ErrorReply(Message, frozen=True, kw_only=True):
    """any role → who asked: the request failed by this error of the tree in `stream.errors`."""

    error: str
    message: str
    remedy: str = ""


VoicePhase = Literal["start", "sure", "end"]


@topic("event.voice")
class EventVoice(Message, frozen=True, kw_only=True):
    """audio → bus: voice activity began or ended at `pts_ns`.

    Of a live source `start` is told with the first window that sounds like a voice, and `sure` once it has
    lasted long enough to be one; where it was none, `end` follows `start`.
    """

    source_id: bytes
    session: int
    phase: VoicePhase
    pts_ns: int
    t_ns: int | None


@topic("event.utterance")
class EventUtterance(Message, frozen=True, kw_only=True):
    """audio → bus: something was said; the observation of the same id is on its way to memory."""

    observation_id: bytes
    source_id: bytes
    session: int
    text: str
    pts0_ns: int
    pts1_ns: int
    t1_ns: int | None
