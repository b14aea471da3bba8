// Standing questions, and the alerts that they raise: in the list, to the ear, and on the desktop where allowed.

import { get, post, remove } from "./api.js";
import { byId, el, fill, icon, setPressed, setText, setWords } from "./dom.js";
import { announceNow, notice, tellError } from "./notices.js";
import { momentCard } from "./player.js";
import { stamp } from "./times.js";

const KEPT = 100;
const HOUR_MS = 3_600_000;
const NS_PER_MS = 1_000_000;

export class Alerts {
  /** @param {{isOwner: () => boolean, say: (text: string) => void}} does */
  constructor({ isOwner, say }) {
    Object.assign(this, { isOwner, say, alerts: new Map(), unseen: 0 });
    byId("watch").addEventListener("submit", (event) => this._set(event));
    byId("notify").addEventListener("click", () => this._allow());
    this._allowed();
  }

  async show() {
    this.unseen = 0;
    this._badge();
    await Promise.all([this._watches(), this._kept()]);
  }

  /** An alert, now. Told once, however often the server sends it. */
  raised(alert) {
    if (this.alerts.has(alert.id)) return;
    this._keep(alert);
    this._draw();
    const words = wordsOf(alert);
    announceNow(`Alert: ${words}`);
    if (alert.spoken) this.say(words);
    if (byId("view-alerts").hidden) {
      this.unseen += 1;
      this._badge();
      notice(words);
    }
    this._notifyDesktop(alert.id, words);
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
    try {
      const told = await get("/alerts");
      for (const alert of told.alerts ?? []) this._keep(alert);
      this._draw();
    } catch (error) {
      tellError(error);
    }
  }

  _keep(alert) {
    this.alerts.set(alert.id, alert);
    if (this.alerts.size > KEPT) this.alerts.delete(this.alerts.keys().next().value);
  }

  _draw() {
    const newest = [...this.alerts.values()].sort((a, b) => Date.parse(b.t) - Date.parse(a.t));
    fill(byId("alert-items"), newest.map(alertCard), byId("alerts-empty"));
  }

  _badge() {
    const badge = byId("alert-count");
    badge.hidden = !this.unseen;
    setText(badge, String(this.unseen));
    badge.setAttribute("aria-label", `${this.unseen} new`);
  }
}

function alertCard(alert) {
  const told = el("div", { class: "grow" }, el("p", { class: "when" }, stamp(alert.t)), el("p", {}, wordsOf(alert)), alert.question ? el("p", { class: "hint" }, `asked: ${alert.question}`) : null);
  return el("li", { class: "card" }, told, ...(alert.items ?? []).slice(0, 3).map((item) => momentCard(item)));
}

const wordsOf = (alert) => alert.text || alert.question || "";
