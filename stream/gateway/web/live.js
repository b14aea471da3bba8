// The live view: picture, sound level, switches of camera and microphone, hold to talk, "now".

import { frameUrl, get } from "./api.js";
import { byId, el, fill, setPressed, setText, setWords } from "./dom.js";
import { Level } from "./level.js";
import { notice, tellError } from "./notices.js";
import { momentCard } from "./player.js";
import { sourceName } from "./times.js";

const FRAME_MS = 700;
const NOW_MS = 5_000;
const LEAST_DB = -60;
const OWN = "own";
const SHOWS_PICTURE = new Set(["reading", "starting"]);

export class Live {
  /**
   * @param {{camera: import("./camera.js").Camera, socket: import("./socket.js").LiveSocket, voice: import("./speech.js").Voice}} parts
   */
  constructor({ camera, socket, voice }) {
    Object.assign(this, { camera, socket, voice, isPaused: false, sources: [], shown: "", isHeld: false });
    this.level = new Level({ level: (db, isSpeech) => this._meter(db, isSpeech), speech: () => this._speech() });
    byId("camera-switch").addEventListener("click", () => this._toggle("video"));
    byId("microphone-switch").addEventListener("click", () => this._toggle("audio"));
    byId("picture-source").addEventListener("change", (event) => this._choose(event.target.value));
    this._holding(byId("hold"));
    setInterval(() => this._frame(), FRAME_MS);
    setInterval(() => this._now(), NOW_MS);
    byId("now").addEventListener("toggle", () => this._now());
  }

  /** The camera opened, closed or changed its rate. */
  changed() {
    const { camera } = this;
    const preview = byId("preview");
    preview.srcObject = camera.hasVideo ? camera.stream : null;
    if (camera.hasVideo) preview.play().catch(() => {});
    this.level.follow(camera.stream ?? new MediaStream()).catch(() => {});
    setPressed(byId("camera-switch"), camera.hasVideo);
    setPressed(byId("microphone-switch"), camera.hasAudio);
    const open = [camera.hasVideo && "camera", camera.hasAudio && "microphone"].filter(Boolean);
    const slow = camera.stream && camera.ladder.rung > 0 ? ", at a lower rate: the connection is slow" : "";
    setText(byId("camera-state"), open.length ? `${open.join(" and ").replace(/^./, (c) => c.toUpperCase())} on${slow}` : "");
    this._options();
  }

  failed(words) {
    notice(words);
  }

  /** The state that the server tells each second. */
  told(sources, isPaused) {
    this.sources = sources.filter((source) => source.source_id && source.uri !== this.camera.uri);
    this._options();
    if (isPaused !== this.isPaused) {
      this.isPaused = isPaused;
      this._stage();
    }
  }

  voiceOf({ phase }) {
    setText(byId("voice-state"), { start: "hearing…", sure: "listening…", end: "" }[phase] ?? "");
  }

  _toggle(kind) {
    if (this.isPaused) return notice("Everything is paused. Resume first.");
    const isOn = kind === "video" ? this.camera.hasVideo : this.camera.hasAudio;
    return this.camera.set({ [kind]: !isOn });
  }

  _options() {
    const select = byId("picture-source");
    const choices = [];
    if (this.camera.hasVideo) choices.push([OWN, "This camera"]);
    for (const source of this.sources) if (SHOWS_PICTURE.has(source.state)) choices.push([source.source_id, sourceName(source.uri)]);
    const key = JSON.stringify(choices);
    if (key !== this.choices) {
      this.choices = key;
      select.replaceChildren(...choices.map(([value, words]) => el("option", { value }, words)));
      select.hidden = choices.length < 2;
    }
    if (!choices.some(([value]) => value === this.shown)) this.shown = choices[0]?.[0] ?? "";
    select.value = this.shown;
    this._stage();
  }

  _choose(value) {
    this.shown = value;
    byId("remote-frame").removeAttribute("src");
    this._stage();
    this._frame();
  }

  _stage() {
    const isOwn = this.shown === OWN;
    byId("preview").hidden = !isOwn;
    const remote = byId("remote-frame");
    remote.hidden = isOwn || !this.shown || !remote.hasAttribute("src");
    setText(byId("stage-words"), this.isPaused ? "Paused. Nothing is seen or heard." : this.shown ? "Waiting for a picture…" : "No picture. Switch the camera on to let it see.");
  }

  /** The newest picture of a camera at the server; asked for only while someone looks. */
  _frame() {
    if (!this.shown || this.shown === OWN || this.isFetching || document.hidden || byId("view-live").hidden) return;
    const shown = this.shown;
    const next = new Image();
    this.isFetching = true;
    next.onload = next.onerror = (event) => {
      this.isFetching = false;
      if (event.type !== "load" || shown !== this.shown) return;
      const remote = byId("remote-frame");
      remote.src = next.src;
      remote.alt = `Newest picture of ${sourceName(this.sources.find((one) => one.source_id === shown)?.uri)}`;
      remote.hidden = false;
    };
    next.src = `${frameUrl(shown)}?t=${Date.now()}`;
  }

  _meter(db, isSpeech) {
    byId("meter").value = Math.max(0, Math.min(100, ((db - LEAST_DB) / -LEAST_DB) * 100));
    if (this.isSpeech !== isSpeech) byId("meter").toggleAttribute("data-speech", isSpeech);
    this.isSpeech = isSpeech;
  }

  /** Speech-like sound in the own microphone: the voice gives way before the server has heard it. */
  _speech() {
    this.voice.duck();
  }

  _holding(button) {
    const down = (event) => {
      if (event.type === "keydown" && (event.repeat || (event.key !== " " && event.key !== "Enter"))) return;
      event.preventDefault();
      if (event.pointerId !== undefined) button.setPointerCapture(event.pointerId);
      button.focus();
      this._hold(true);
    };
    const up = (event) => {
      if (event.type === "keyup" && event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      this._hold(false);
    };
    for (const type of ["pointerdown", "keydown"]) button.addEventListener(type, down);
    for (const type of ["pointerup", "pointercancel", "keyup", "blur"]) button.addEventListener(type, up);
    button.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  async _hold(isDown) {
    if (isDown === this.isHeld) return;
    if (isDown && this.isPaused) return notice("Everything is paused. Resume first.");
    this.isHeld = isDown;
    const button = byId("hold");
    button.toggleAttribute("data-down", isDown);
    setWords(button, isDown ? "Listening" : "Hold to talk");
    if (isDown) {
      this.voice.silence();
      if (!this.camera.hasAudio) await this.camera.set({ audio: true });
      // It may have been let go while the browser asked whether it may listen.
      if (!this.isHeld || !this.camera.hasAudio) return;
    }
    // By name: the camera's source is opened with its first chunk, later than this.
    this.socket.say({ type: "talk", state: isDown ? "down" : "up", name: this.camera.name });
  }

  async _now() {
    if (!byId("now").open || document.hidden || byId("view-live").hidden || this.isAsking) return;
    this.isAsking = true;
    try {
      const told = await get("/now", { seconds: 60 });
      const items = told.items ?? [];
      fill(byId("now-items"), items.map((item) => el("li", {}, momentCard(item))));
      byId("now-empty").hidden = items.length > 0;
      setText(byId("now-empty"), "Nothing of the last minute is in memory.");
    } catch (error) {
      byId("now").open = false;
      tellError(error);
    } finally {
      this.isAsking = false;
    }
  }
}
