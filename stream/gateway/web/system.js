// How the processes and sources are, pause, and the name of this browser's camera.

import { post } from "./api.js";
import { byId, el, fill, setPressed, setText, setWords } from "./dom.js";
import { announce, tellError } from "./notices.js";
import { bytes, sourceName } from "./times.js";

/** States of sources (`SourceState`) and processes; the others have no colour. */
const TONES = { reading: "good", serving: "good", starting: "warn", paused: "warn", draining: "warn", partial: "warn", lost: "bad", rejected: "bad", broken: "bad" };

/** States in which nothing is read any more: there is nothing to pause. */
const OVER = ["done", "partial", "rejected", "closed"];

/** What is counted of a source, and what its column is called. */
const COUNTED = [["read", "Pictures read"], ["sent", "Sent on"], ["dropped", "Dropped"], ["audio_dropped", "Sound dropped"], ["gaps", "Gaps"]];

export class System {
  /** @param {{isOwner: () => boolean, pausing: (isPaused: boolean) => Promise<void>}} does */
  constructor({ isOwner, pausing }) {
    Object.assign(this, { isOwner, pausing, isPaused: false, told: null, rows: new Map() });
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
    const { sources = [], roles = [], store } = this.told;
    this._drawSources(sources);
    fill(byId("roles").tBodies[0], roles.map(roleRow));
    setText(byId("store"), store ? storeWords(store) : "");
  }

  /** Rows stay and change in place: a button that is replaced loses the focus, and the press that is going on. */
  _drawSources(sources) {
    const table = byId("sources");
    const body = table.tBodies[0];
    const focused = table.contains(document.activeElement) ? document.activeElement : null;
    const before = this.rows;
    this.rows = new Map(sources.map((one) => [one.uri, before.get(one.uri) ?? this._row(one)]));
    for (const one of sources) this._show(this.rows.get(one.uri), one);
    const rows = [...this.rows.values()].map((row) => row.line);
    if (rows.length !== body.rows.length || rows.some((line, at) => line !== body.rows[at])) fill(body, rows);
    byId("sources-empty").hidden = rows.length > 0;
    // What has the focus may have moved, or gone: the table is near it.
    const isThere = focused?.isConnected && !focused.hidden;
    if (focused && !(isThere && document.activeElement === focused)) (isThere ? focused : table.parentElement).focus({ preventScroll: true });
  }

  _row({ uri }) {
    const state = el("td");
    const numbers = COUNTED.map(([, label]) => number(0, label));
    const button = el("button", { type: "button", onclick: () => this._pauseOne(uri) });
    const line = el("tr", {}, el("th", { scope: "row", title: uri }, sourceName(uri)), state, ...numbers, el("td", {}, button));
    return { line, state, numbers, button };
  }

  _show({ state, numbers, button }, one) {
    state.replaceChildren(stateOf(one.state, one.reason));
    COUNTED.forEach(([what], at) => setText(numbers[at], String(one[what] ?? 0)));
    const words = one.state === "paused" ? "Resume" : "Pause";
    button.hidden = !this.isOwner() || OVER.includes(one.state);
    setText(button, words);
    button.setAttribute("aria-label", `${words} ${sourceName(one.uri)}`);
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

  /** What a press means is what the button says by then: the newest state. */
  async _pauseOne(uri) {
    const isPaused = (this.told.sources ?? []).find((one) => one.uri === uri)?.state !== "paused";
    try {
      await post("/sources/pause", { uri, paused: isPaused });
      announce(`${isPaused ? "Paused" : "Resumed"} ${sourceName(uri)}`);
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
