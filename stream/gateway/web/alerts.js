// Standing questions, and the alerts that they raise: in the list, to the ear, and on the desktop where allowed.

import { get, post, remove } from "./api.js";
import { byId, el, fill, icon, setPressed, setText, setWords } from "./dom.js";
import { announceNow, notice, tellError } from "./notices.js";
import { momentCard } from "./player.js";
import { stamp } from "./times.js";

const KEPT = 100;
const MOST_AT_ONCE = 200;
const HOUR_MS = 3_600_000;
const NS_PER_MS = 1_000_000;

export class Alerts {
  /** @param {{isOwner: () => boolean, say: (text: string) => void}} does */
  constructor({ isOwner, say }) {
    Object.assign(this, { isOwner, say, alerts: new Map(), known: new Set(), unseen: new Set(), after: null, clears: 0 });
    byId("watch").addEventListener("submit", (event) => this._set(event));
    byId("notify").addEventListener("click", () => this._allow());
    this._allowed();
  }

  async show() {
    this.unseen.clear();
    this._badge();
    await Promise.all([this._watches(), this._kept()]);
  }

  /** What was forgotten goes from here; what is left is asked for. */
  async clear() {
    this.clears += 1;
    this.alerts.clear();
    this._draw();
    await this._kept();
    for (const id of this.unseen) if (!this.alerts.has(id)) this.unseen.delete(id);
    this._badge();
  }

  /** An alert, now. Told once, however often the server sends it. */
  raised(alert) {
    if (this.known.has(alert.id)) return;
    this._tell([alert], wordsOf(alert));
  }

  /** Those that came while this page was not connected, with one word for all: a night may have many. */
  async missed() {
    if (this.after === null) return this._kept();
    const { clears } = this;
    const missed = [];
    try {
      for (let before = -1; this.after > before; ) {
        before = this.after;
        const told = await get("/alerts", { after: before, limit: MOST_AT_ONCE });
        if (clears !== this.clears) return undefined;
        this.after = Math.max(this.after, told.after ?? 0);
        for (const alert of told.alerts ?? []) if (!this.known.has(alert.id)) missed.push(alert);
        for (const { id } of missed) this.known.add(id);
      }
    } catch (error) {
      tellError(error);
    }
    if (!missed.length) return undefined;
    const newest = wordsOf(missed.at(-1));
    return this._tell(missed, missed.length === 1 ? newest : `${missed.length} came while this page was not connected. The last: ${newest}`);
  }

  _tell(alerts, words) {
    for (const alert of alerts) this._keep(alert);
    this._draw();
    announceNow(`Alert: ${words}`);
    if (alerts.some((alert) => alert.spoken)) this.say(words);
    if (byId("view-alerts").hidden) {
      for (const { id } of alerts) this.unseen.add(id);
      this._badge();
      notice(words);
    }
    this._notifyDesktop(alerts.at(-1).id, words);
  }

  _notifyDesktop(id, words) {
    if (!("Notification" in window) || Notification.permission !== "granted" || !this.isNotifying) return;
    try {
      const shown = new Notification("OmniRecall", { body: words, tag: `omnirecall-${id}`, icon: "/static/mark.svg" });
      shown.onclick = () => {
        window.focus();
        location.hash = "#alerts";
      };
    } catch {
      // Phones allow notifications only from a service worker; the list and the live region tell it there.
    }
  }

  async _allow() {
    if (!("Notification" in window)) return notice("This browser shows no notifications.");
    if (!this.isNotifying && (await Notification.requestPermission()) !== "granted") return notice("Notifications are blocked for this page; allow them in the browser's settings.");
    localStorage.setItem("omnirecall.notify", this.isNotifying ? "" : "1");
    this._allowed();
  }

  _allowed() {
    this.isNotifying = localStorage.getItem("omnirecall.notify") === "1" && "Notification" in window && Notification.permission === "granted";
    setPressed(byId("notify"), this.isNotifying);
    setWords(byId("notify"), this.isNotifying ? "Notifying on this device" : "Notify on this device");
  }

  async _set(event) {
    event.preventDefault();
    const question = byId("watch-question").value.trim();
    if (!question) return;
    const hours = Number(byId("watch-until").value);
    const expiresMs = hours && Date.now() + hours * HOUR_MS;
    try {
      // Whole nanoseconds do not fit a double; a whole number of milliseconds times a million is near enough.
      await post("/watches", { question, cool_down_s: Number(byId("watch-rest").value), expires_ns: expiresMs * NS_PER_MS, spoken: byId("watch-spoken").checked });
      byId("watch-question").value = "";
      notice(`It is watched for: ${question}`);
      await this._watches();
    } catch (error) {
      tellError(error);
    }
  }

  async _watches() {
    try {
      const told = await get("/watches");
      fill(byId("watches"), (told.watches ?? []).map((watch) => this._watch(watch)), byId("watches-empty"));
    } catch (error) {
      tellError(error);
    }
  }

  _watch(watch) {
    const until = watch.expires ? `until ${stamp(watch.expires)}` : "until dropped";
    const told = el("div", { class: "grow" }, el("p", {}, watch.question), el("p", { class: "hint" }, `${until}${watch.spoken ? ", said aloud" : ""}`));
    const line = el("li", { class: "card" }, told);
    if (this.isOwner()) line.append(el("button", { type: "button", "aria-label": `Drop: ${watch.question}`, onclick: () => this._drop(watch) }, icon("close"), "Drop"));
    return line;
  }

  async _drop(watch) {
    try {
      await remove(`/watches/${encodeURIComponent(watch.id)}`);
      await this._watches();
      byId("watch-question").focus();
    } catch (error) {
      tellError(error);
    }
  }

  async _kept() {
    const { clears } = this;
    try {
      const told = await get("/alerts");
      // Asked before something was forgotten, it may tell of that.
      if (clears !== this.clears) return;
      this.after = Math.max(this.after ?? 0, told.after ?? 0);
      for (const alert of told.alerts ?? []) this._keep(alert);
      this._draw();
    } catch (error) {
      tellError(error);
    }
  }

  _keep(alert) {
    this.known.add(alert.id);
    this.alerts.set(alert.id, alert);
    if (this.alerts.size > KEPT) this.alerts.delete(this.alerts.keys().next().value);
  }

  _draw() {
    const newest = [...this.alerts.values()].sort((a, b) => Date.parse(b.t) - Date.parse(a.t));
    fill(byId("alert-items"), newest.map(alertCard), byId("alerts-empty"));
  }

  _badge() {
    const badge = byId("alert-count");
    badge.hidden = !this.unseen.size;
    setText(badge, String(this.unseen.size));
    badge.setAttribute("aria-label", `${this.unseen.size} new`);
  }
}

function alertCard(alert) {
  const told = el("div", { class: "grow" }, el("p", { class: "when" }, stamp(alert.t)), el("p", {}, wordsOf(alert)), alert.question ? el("p", { class: "hint" }, `asked: ${alert.question}`) : null);
  return el("li", { class: "card" }, told, ...(alert.items ?? []).slice(0, 3).map((item) => momentCard(item)));
}

const wordsOf = (alert) => alert.text || alert.question || "";
