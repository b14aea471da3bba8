// What was heard and seen, as it comes. A recognised line replaces an earlier guess at it.

import { byId, el } from "./dom.js";
import { Following } from "./following.js";
import { clock } from "./times.js";

const KEPT = 200;

export class Transcript {
  constructor() {
    this.list = byId("transcript");
    this.lines = new Map();
    this.following = new Following(this.list);
  }

  /** It is looked at again. */
  show() {
    this.following.keep();
  }

  /** What was forgotten must not stand here; which lines that were is not told. */
  clear() {
    this.list.replaceChildren();
    this.lines.clear();
    this.following.toEnd();
    byId("transcript-empty").hidden = false;
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
    const line = el("li", { title: source ?? null }, el("time", { datetime: when ?? null }, clock(when)), words);
    const before = this.lines.get(key);
    if (before) before.replaceWith(line);
    else this.list.append(line);
    this.lines.set(key, line);
    while (this.lines.size > KEPT) {
      const [oldest, gone] = this.lines.entries().next().value;
      gone.remove();
      this.lines.delete(oldest);
    }
    byId("transcript-empty").hidden = true;
    this.following.keep();
  }
}
