// How the processes and sources are, pause, and the name of this browser's camera.

import { post } from "./api.js";
import { byId, el, fill, setPressed, setText, setWords } from "./dom.js";
import { announce, tellError } from "./notices.js";
import { bytes, sourceName } from "./times.js";

/** States of sources (`SourceState`) and processes; the others have no colour. */
const TONES = { reading: "good", serving: "good", starting: "warn", paused: "warn", draining: "warn", partial: "warn", lost: "bad", rejected: "bad", broken: "bad" };

/** States in which nothing is read any more: there is nothing to pause. */
const OVER = ["done", "partial", "rejected", "closed"];

export class System {
  /** @param {{isOwner: () => boolean, pausing: (isPaused: boolean) => Promise<void>}} does */
  constructor({ isOwner, pausing }) {
    Object.assign(this, { isOwner, pausing, isPaused: false, told: null });
    byId("pause").addEventListener("click", () => this._pauseAll(!this.isPaused));
  }

  /** The state that the server tells each second. */
  state(told) {
    this.told = told;
    this._draw();
  }

  /** Whether all of it rests: the owner said so, and no source reads. */
  setPaused(isPaused) {
    this.isPaused = isPaused;
    const button = byId("pause");
    setPressed(button, isPaused);
    setWords(button, isPaused ? "Resume" : "Pause");
    button.querySelector("use").setAttribute("href", `/static/icons.svg#${isPaused ? "play" : "pause"}`);
    const banner = byId("paused-banner");
    setText(banner, isPaused ? "Paused: cameras and microphones are closed. Nothing is seen, heard or remembered." : "");
    banner.hidden = !isPaused;
  }

  /** Draw the tables; only while someone looks at them. */
  show() {
    this._draw();
  }

  _draw() {
    if (!this.told || byId("view-system").hidden) return;
    // A row whose button has the focus stays as it is: replacing it would lose the place of the keyboard.
    if (byId("sources").contains(document.activeElement)) return;
    const { sources = [], roles = [], store } = this.told;
    fill(byId("sources").tBodies[0], sources.map((one) => this._source(one)), byId("sources-empty"));
    fill(byId("roles").tBodies[0], roles.map(roleRow));
    setText(byId("store"), store ? storeWords(store) : "");
  }

  _source(one) {
    const isPaused = one.state === "paused";
    const name = sourceName(one.uri);
    const button = this.isOwner() && !OVER.includes(one.state) && el("button", { type: "button", "aria-label": `${isPaused ? "Resume" : "Pause"} ${name}`, onclick: () => this._pauseOne(one.uri, !isPaused) }, isPaused ? "Resume" : "Pause");
    return el("tr", {}, el("th", { scope: "row", title: one.uri }, name), el("td", {}, stateOf(one.state, one.reason)), number(one.read, "Pictures read"), number(one.sent, "Sent on"), number(one.dropped, "Dropped"), number(one.audio_dropped, "Sound dropped"), number(one.gaps, "Gaps"), el("td", {}, button || ""));
  }

  async _pauseAll(isPaused) {
    try {
      // The own camera closes first: its lamp must not wait for an answer.
      await this.pausing(isPaused);
      await post("/sources/pause", { uri: "all", paused: isPaused });
      this.setPaused(isPaused);
      announce(isPaused ? "Paused" : "Resumed");
    } catch (error) {
      tellError(error);
    }
  }

  async _pauseOne(uri, isPaused) {
    try {
      await post("/sources/pause", { uri, paused: isPaused });
    } catch (error) {
      tellError(error);
    }
  }
}

function stateOf(state, reason) {
  return el("span", { class: "state", "data-tone": TONES[state] ?? null, title: reason || null }, reason ? `${state}: ${reason}` : (state ?? ""));
}

/** A cell; `label` stands beside it where there is no room for a head. */
const number = (n, label) => el("td", { class: "n", "data-label": label }, String(n ?? 0));

function roleRow(role) {
  const name = role.name && role.name !== role.role ? `${role.role} (${role.name})` : role.role;
  return el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, stateOf(role.state, "")), el("td", { class: "n", "data-label": "Memory" }, bytes(role.rss_bytes)), number(role.restarts, "Restarts"), el("td", { class: "wrap" }, role.last_error ?? ""));
}

function storeWords(store) {
  const counts = Object.entries(store.counts ?? {}).filter(([, n]) => n).slice(0, 6).map(([what, n]) => `${n} ${what.replaceAll("_", " ")}`);
  const held = Object.values(store.bytes ?? {}).reduce((sum, n) => sum + n, 0);
  return [held ? `The store holds ${bytes(held)}` : "", ...counts].filter(Boolean).join(" · ");
}
