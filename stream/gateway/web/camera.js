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
    this.opened = new Map();
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
  set(wants) {
    this.wants = { ...this.wants, ...wants };
    this.isChanging = this.isChanging.then(() => this._change()).catch((error) => this._fail(error));
    return this.isChanging;
  }

  /** Close the devices: their lamps go out. */
  close() {
    return this.set({ video: false, audio: false });
  }

  /** The connection is there again: what was recorded meanwhile follows, in a segment of its own. */
  connected() {
    this.opened.clear();
    this._flush();
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
    this._release();
    if (video || audio) {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: video && PICTURE, audio: audio && SOUND });
      for (const track of this.stream.getTracks()) track.addEventListener("ended", () => this._lost(track));
      this._record();
      this.timer = setInterval(() => this._look(), LOOK_MS);
    } else {
      this.socket.say({ type: "camera", state: "close" });
      this.outgoing.clear();
    }
    this.hears.changed();
  }

  _release() {
    clearInterval(this.timer);
    this._stopRecorder();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
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

  _stopRecorder() {
    if (this.recorder && this.recorder.state !== "inactive") this.recorder.stop();
    this.recorder = null;
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
    this.opened.set(segment, false);
    const recorder = new MediaRecorder(new MediaStream(tracks), {
      mimeType, videoBitsPerSecond: rung.videoBps || undefined, audioBitsPerSecond: SOUND_BPS,
      // A key picture each two seconds: a clip begins at one.
      videoKeyFrameIntervalDuration: 2_000,
    });
    const about = { name: this.name, segment, mime: mimeType, has_video: kind !== "sound", has_audio: kind !== "video" };
    this._collect(recorder, about);
    this.recorder = recorder;
    this.shape = this._shapeNow();
    recorder.start(TIMESLICE_MS);
  }

  /** Put the chunks of a recorder in the queue in order, with the time at which each began. */
  _collect(recorder, about) {
    let index = 0;
    let tMs = performance.timeOrigin + performance.now();
    let reading = Promise.resolve();
    recorder.ondataavailable = ({ data }) => {
      const began = tMs;
      tMs = performance.timeOrigin + performance.now();
      if (!data.size) return;
      const own = index;
      index += 1;
      reading = reading.then(async () => {
        this.outgoing.put({ segment: about.segment, index: own, tMs: began, bytes: await data.arrayBuffer(), about });
        this._flush();
      });
    };
    recorder.onerror = () => this.hears.failed("Recording stopped; open the camera again");
  }

  _flush() {
    while (this.socket.isOpen) {
      const chunk = this.outgoing.take(this.socket.bufferedBytes, MAX_BUFFERED_BYTES);
      if (!chunk) return;
      if (!this.opened.get(chunk.segment)) {
        this.opened.clear();
        this.opened.set(chunk.segment, true);
        this.socket.say({ type: "camera", state: "open", ...chunk.about });
      }
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
    const rung = this.ladder.see(this.socket.isOpen ? this.outgoing.lagMs(nowMs) : 0, nowMs);
    if (rung !== before || this._shapeNow() !== this.shape) {
      this._record();
      this.hears.changed();
    }
  }
}
