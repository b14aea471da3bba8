// What was heard and seen, as it comes. A recognised line replaces an earlier guess at it.

import { byId, el } from "./dom.js";
import { clock } from "./times.js";

const KEPT = 200;

export class Transcript {
  constructor() {
    this.list = byId("transcript");
    this.lines = new Map();
    this.follows = true;
    // While it is not shown all its heights are 0, and nothing is told of where its reader is.
    this.list.addEventListener("scroll", () => {
      if (this.list.clientHeight) this.follows = this._isAtEnd();
    });
  }

  /** It is looked at again. */
  show() {
    if (this.follows) this._toEnd();
  }

  /** What was forgotten must not stand here; which lines that were is not told. */
  clear() {
    this.list.replaceChildren();
    this.lines.clear();
    this.follows = true;
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
    if (this.follows) this._toEnd();
  }

  _isAtEnd() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
  }

  _toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}
