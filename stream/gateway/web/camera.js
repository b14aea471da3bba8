// The own camera and microphone: opened, recorded as WebM in small chunks, sent as the server takes them.
//
// A segment is one run of a recorder. A new one begins when the tracks change (a phone that is
// turned), when the rate must fall or may rise, after a pause and after a lost connection; a
// chunk in the middle of a WebM stream cannot be left out.

import { frameOf, LADDER, Ladder, Outgoing } from "./frames.js";

const TIMESLICE_MS = 200;
const SOUND_BPS = 48_000;
const MAX_WAITING_BYTES = 16 << 20;
const MAX_BUFFERED_BYTES = 256 << 10;
const LOOK_MS = 500;
const OPEN_AGAIN_MS = 20_000;
const AFTER_ERROR_MS = 3_000;
const MIMES = {
  both: ["video/webm;codecs=vp8,opus", "video/webm"],
  video: ["video/webm;codecs=vp8", "video/webm"],
  sound: ["audio/webm;codecs=opus", "audio/webm"],
};
const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: { ideal: "environment" } };
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

export class Camera {
  /**
   * @param {import("./socket.js").LiveSocket} socket
   * @param {{changed: () => void, failed: (words: string) => void}} hears
   */
  constructor(socket, hears) {
    this.socket = socket;
    this.hears = hears;
    this.name = "camera";
    this.wants = { video: false, audio: false };
    this.stream = null;
    this.recorder = null;
    // Segments go up across reloads of the page: the server orders them by number.
    this.segment = Math.floor(Date.now() / 1000);
    this.outgoing = new Outgoing(MAX_WAITING_BYTES);
    this.ladder = new Ladder();
    this.timer = 0;
    this.isChanging = Promise.resolve();
    this._openAnew();
    this.isResting = false;
  }

  get hasVideo() {
    return Boolean(this.stream?.getVideoTracks().length);
  }

  get hasAudio() {
    return Boolean(this.stream?.getAudioTracks().length);
  }

  get uri() {
    return `browser:${this.name}`;
  }

  /** Open or close the devices so that just these are open. Changes follow each other, never overlap. */
  set(wants, isResting = false) {
    this.wants = { ...this.wants, ...wants };
    this.isResting = isResting;
    this.isChanging = this.isChanging.then(() => this._change()).catch((error) => this._fail(error));
    return this.isChanging;
  }

  /** Close the devices: their lamps go out. */
  close() {
    return this.set({ video: false, audio: false });
  }

  /** As `close`, but the source stays, and is told as paused: the owner paused it. */
  rest() {
    return this.set({ video: false, audio: false }, true);
  }

  /** The connection is there again: what was recorded meanwhile follows, in a segment of its own. */
  connected() {
    this._openAnew();
    this._flush();
  }

  /** The server takes chunks of this source from now on, or no more: another page of the same name sends. */
  taken({ state, source, reason }) {
    if (source && source !== this.uri) return;
    if (state === "closed") {
      this.rest();
      this.hears.failed(`This camera was closed: ${reason ?? "the server closed it"}`);
      return;
    }
    this.isTaken = true;
    this._flush();
  }

  /** The server told an error: where it was about opening this source, it is asked again soon. */
  refused() {
    if (this.stream && !this.isTaken) this.askedMs = performance.now() - OPEN_AGAIN_MS + AFTER_ERROR_MS;
  }

  /** The connection is lost: the segment under way is cut, the next one waits. */
  disconnected() {
    if (this.stream) this._record();
    this.outgoing.restart();
  }

  pushed({ segment, through, window, restart }) {
    this.outgoing.pushed(segment, through, window);
    // The reader of this segment is no more (a process was started anew): begin another.
    if (restart && this.stream && segment === this.outgoing.segment) this.disconnected();
    this._flush();
  }

  async _change() {
    const { video, audio } = this.wants;
    if (this.stream && this.hasVideo === video && this.hasAudio === audio) return;
    const drained = this._release();
    if (video || audio) {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: video && PICTURE, audio: audio && SOUND });
      // Nothing was taken yet: what a part of these devices gave in between is not worth a source of its own.
      if (!this.isTaken) this.outgoing.cut(this.segment);
      for (const track of this.stream.getTracks()) track.addEventListener("ended", () => this._lost(track));
      this._record();
      this.timer = setInterval(() => this._look(), LOOK_MS);
    } else {
      this.hears.changed();
      await drained;
      this._flush();
      this.outgoing.clear();
      if (!this.isResting) {
        this.socket.say({ type: "camera", state: "close" });
        this._openAnew();
      }
    }
    this.hears.changed();
  }

  _release() {
    clearInterval(this.timer);
    const drained = this._stopRecorder();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    return drained;
  }

  _lost(track) {
    if (!this.stream?.getTracks().includes(track)) return;
    this.wants = { video: false, audio: false };
    this.set({});
    this.hears.failed(track.kind === "video" ? "The camera went away" : "The microphone went away");
  }

  _fail(error) {
    this.wants = { video: false, audio: false };
    this._release();
    this.hears.changed();
    const words = {
      NotAllowedError: "This browser was not allowed to use the camera or microphone",
      NotFoundError: "No camera or microphone was found",
      NotReadableError: "Another program uses the camera or microphone",
    };
    const secure = window.isSecureContext ? "" : " Browsers open a camera only over HTTPS or on this machine itself.";
    this.hears.failed((words[error.name] ?? `The camera could not be opened: ${error.message}.`) + secure);
  }

  /** Resolves when the last bytes of the recorder are in the queue. */
  _stopRecorder() {
    const recorder = this.recorder;
    this.recorder = null;
    if (!recorder || recorder.state === "inactive") return Promise.resolve();
    const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
    recorder.stop();
    return stopped.then(() => recorder.drained);
  }

  _record() {
    this._stopRecorder();
    const rung = LADDER[this.ladder.rung];
    const tracks = this.stream.getTracks().filter((track) => track.kind === "audio" || rung.videoBps > 0);
    if (!tracks.length) return;
    const kind = tracks.length === 2 ? "both" : tracks[0].kind === "video" ? "video" : "sound";
    const mimeType = MIMES[kind].find((mime) => MediaRecorder.isTypeSupported(mime));
    if (!mimeType) throw new Error("this browser cannot record WebM");
    for (const track of this.stream.getVideoTracks()) if (rung.frameHz) track.applyConstraints({ frameRate: { max: rung.frameHz } }).catch(() => {});
    const segment = (this.segment += 1);
    const recorder = new MediaRecorder(new MediaStream(tracks), {
      mimeType, videoBitsPerSecond: rung.videoBps || undefined, audioBitsPerSecond: SOUND_BPS,
      // A key picture each two seconds: a clip begins at one.
      videoKeyFrameIntervalDuration: 2_000,
    });
    // What the devices give, not what this rung sends of it: the source is the same.
    const about = { name: this.name, segment, mime: mimeType, has_video: this.hasVideo, has_audio: this.hasAudio };
    this._collect(recorder, about);
    this.recorder = recorder;
    this.shape = this._shapeNow();
    recorder.start(TIMESLICE_MS);
  }

  /** Put the chunks of a recorder in the queue in order, with the time at which each began. */
  _collect(recorder, about) {
    let index = 0;
    let tMs = performance.timeOrigin + performance.now();
    recorder.drained = Promise.resolve();
    recorder.ondataavailable = ({ data }) => {
      const began = tMs;
      tMs = performance.timeOrigin + performance.now();
      if (!data.size) return;
      const own = index;
      index += 1;
      recorder.drained = recorder.drained.then(async () => {
        this.outgoing.put({ segment: about.segment, index: own, tMs: began, bytes: await data.arrayBuffer(), about });
        this._flush();
      });
    };
    recorder.onerror = () => this.hears.failed("Recording stopped; open the camera again");
  }

  _openAnew() {
    this.openedAs = "";
    this.isTaken = false;
    this.askedMs = -OPEN_AGAIN_MS;
  }

  /**
   * Whether the server takes chunks of this source. It is asked to open it once, not for each
   * segment, since that starts a process there; and again where that took too long.
   */
  _isOpen({ about }) {
    const openAs = `${about.name} ${about.has_video} ${about.has_audio}`;
    if (openAs !== this.openedAs) this._openAnew();
    if (!this.isTaken && performance.now() - this.askedMs >= OPEN_AGAIN_MS) {
      this.openedAs = openAs;
      this.askedMs = performance.now();
      this.socket.say({ type: "camera", state: "open", ...about });
    }
    return this.isTaken;
  }

  _flush() {
    while (this.socket.isOpen) {
      if (!this.outgoing.waiting.length || !this._isOpen(this.outgoing.waiting[0])) return;
      const chunk = this.outgoing.take(this.socket.bufferedBytes, MAX_BUFFERED_BYTES);
      if (!chunk) return;
      this.socket.sendBytes(frameOf(chunk));
    }
  }

  _shapeNow() {
    const of = this.stream.getVideoTracks()[0]?.getSettings();
    return of ? `${of.width}x${of.height}` : "";
  }

  /** Twice a second: has the picture changed its size, does the line keep up? */
  _look() {
    this._flush();
    const nowMs = performance.timeOrigin + performance.now();
    const before = this.ladder.rung;
    const rung = this.ladder.see(this.socket.isOpen && this.isTaken ? this.outgoing.lagMs(nowMs) : 0, nowMs);
    if (rung !== before || this._shapeNow() !== this.shape) {
      this._record();
      this.hears.changed();
    }
  }
}
