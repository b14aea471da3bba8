// What was heard and seen, as it comes. A recognised line replaces an earlier guess at it.

import { get } from "./api.js";
import { byId, el } from "./dom.js";
import { Following } from "./following.js";
import { clock } from "./times.js";

const KEPT = 200;

export class Transcript {
  constructor() {
    this.list = byId("transcript");
    this.lines = new Map();
    this.clears = 0;
    this.following = new Following(this.list);
  }

  /** It is looked at again. */
  show() {
    this.following.keep();
  }

  /** What was forgotten must not stand here; which lines that were is not told. */
  clear() {
    this.clears += 1;
    this.list.replaceChildren();
    this.lines.clear();
    this.following.toEnd();
    byId("transcript-empty").hidden = false;
  }

  /** What is remembered of the last minutes, for a page that was opened later, or was away. */
  async recall() {
    const { clears } = this;
    const { items = [] } = await get("/now", { seconds: 900 });
    // Asked before something was forgotten, it may tell of that.
    if (clears !== this.clears) return;
    for (const item of items) {
      const of = { id: item.id, text: item.text, t0: item.t0, source: item.source };
      if (item.kind === "utterance") this.heard(of);
      else if (["seen_text", "shot", "caption", "chapter"].includes(item.kind)) this.seen(of);
    }
  }

  heard({ id, text, t0, source }) {
    this._line(`h${id}`, t0, text, "heard", source);
  }

  seen({ id, text, t0, source }) {
    if (text) this._line(`s${id}`, t0, text, "seen", source);
  }

  _line(key, when, text, kind, source) {
    const words = el("span", { class: kind });
    if (kind === "seen") words.append(el("span", { class: "unseen" }, "Seen: "));
    words.append(text);
    const line = el("li", { title: source ?? null, "data-key": key }, el("time", { datetime: when ?? null }, clock(when)), words);
    const before = this.lines.get(key);
    if (before) before.replaceWith(line);
    else this._place(line, when);
    this.lines.set(key, line);
    while (this.lines.size > KEPT) {
      this.lines.delete(this.list.firstElementChild.dataset.key);
      this.list.firstElementChild.remove();
    }
    byId("transcript-empty").hidden = true;
    this.following.keep();
  }

  /** In its place by time, nearly always the last: what was said before may come later. */
  _place(line, when) {
    const at = Date.parse(when ?? "");
    let after = this.list.lastElementChild;
    while (after && Date.parse(after.querySelector("time").dateTime) > at) after = after.previousElementSibling;
    if (after) after.after(line);
    else this.list.prepend(line);
  }
}
