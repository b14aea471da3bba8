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

  /** What is remembered of the last minutes, for a page that was opened later. */
  async recall() {
    const { items = [] } = await get("/now", { seconds: 900 });
    // What has come meanwhile is newer, and stands below.
    const newer = [...this.list.children];
    this.list.replaceChildren();
    this.lines.clear();
    for (const item of items) {
      const of = { id: item.id, text: item.text, t0: item.t0, source: item.source };
      if (item.kind === "utterance") this.heard(of);
      else if (["seen_text", "shot", "caption", "chapter"].includes(item.kind)) this.seen(of);
    }
    for (const line of newer) if (!this.lines.has(line.dataset.key)) this._append(line.dataset.key, line);
    this.following.toEnd();
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
    if (before) {
      before.replaceWith(line);
      this.lines.set(key, line);
    } else this._append(key, line);
  }

  _append(key, line) {
    this.list.append(line);
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
