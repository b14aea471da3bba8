// What was heard and seen, as it comes. A recognised line replaces an earlier guess at it.

import { byId, el } from "./dom.js";
import { clock } from "./times.js";

const KEPT = 200;

export class Transcript {
  constructor() {
    this.list = byId("transcript");
    this.lines = new Map();
  }

  heard({ id, text, t0, source }) {
    this._line(`h${id}`, t0, text, "heard", source);
  }

  seen({ id, text, t0, source }) {
    if (text) this._line(`s${id}`, t0, text, "seen", source);
  }

  _line(key, when, text, kind, source) {
    const stick = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
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
    if (stick) this.list.scrollTop = this.list.scrollHeight;
  }
}
