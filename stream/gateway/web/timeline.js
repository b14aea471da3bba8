// The timeline: one day at a time, and search over all of it.

import { get } from "./api.js";
import { byId, el, fill, setText } from "./dom.js";
import { tellError } from "./notices.js";
import { momentCard } from "./player.js";
import { boundsOf, dayBy, dayOf, longDay, shortDay } from "./times.js";

const SHOWN_DAYS = 6;

export class Timeline {
  constructor() {
    this.day = dayOf(Date.now());
    this.asked = 0;
    this.isCleared = false;
    byId("day").addEventListener("change", (event) => event.target.value && this._to(event.target.value));
    byId("day-before").addEventListener("click", () => this._to(dayBy(this.day, -1)));
    byId("day-after").addEventListener("click", () => this._to(dayBy(this.day, 1)));
    byId("cue").addEventListener("input", (event) => event.target.value || this.show());
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this._search(byId("cue").value.trim());
    });
  }

  /** Show the day that was chosen last. */
  async show() {
    const cue = byId("cue").value.trim();
    // What was found stays, unless it was cleared away.
    if (cue) return this.isCleared ? this._search(cue) : undefined;
    byId("day").value = this.day;
    byId("day-bar").hidden = false;
    const [since, until] = boundsOf(this.day);
    const told = await this._ask("/timeline", { since, until, day: this.day });
    if (!told) return undefined;
    const spans = told.spans ?? [];
    this._days(told.days ?? []);
    setText(byId("timeline-told"), spans.length ? `${longDay(this.day)}: ${plural(spans.length, "moment")}` : `Nothing is remembered of ${longDay(this.day)}.`);
    fill(byId("timeline-items"), spans.map((span) => el("li", {}, momentCard(span))));
    return undefined;
  }

  /** What was forgotten must not stand here; it is asked for anew when it is shown. */
  clear() {
    this.asked += 1;
    this.isCleared = true;
    for (const list of ["timeline-items", "days"]) byId(list).replaceChildren();
    setText(byId("timeline-told"), "");
  }

  async _search(cue) {
    if (!cue) return this.show();
    byId("day-bar").hidden = true;
    const told = await this._ask("/search", { q: cue, k: 24 });
    if (!told) return;
    const hits = told.hits ?? [];
    setText(byId("timeline-told"), hits.length ? `${plural(hits.length, "moment")} for “${cue}”, the best first` : `Nothing that was seen or heard fits “${cue}”.`);
    fill(byId("timeline-items"), hits.map((hit) => el("li", {}, momentCard(hit))));
  }

  _to(day) {
    this.day = day;
    byId("cue").value = "";
    this.show();
  }

  _days(days) {
    const newest = days.slice().sort((a, b) => (a.day < b.day ? 1 : -1)).slice(0, SHOWN_DAYS);
    const chip = ({ day, n }) => el("li", {}, el("button", { type: "button", "aria-pressed": String(day === this.day), onclick: () => this._to(day) }, `${shortDay(day)} (${n})`));
    fill(byId("days"), newest.map(chip));
  }

  /** The answer to the newest question only: an earlier one that comes late is not shown. */
  async _ask(path, query) {
    const own = (this.asked += 1);
    this.isCleared = false;
    setText(byId("timeline-told"), "Looking…");
    try {
      const told = await get(path, query);
      return own === this.asked ? told : null;
    } catch (error) {
      setText(byId("timeline-told"), "");
      tellError(error);
      return null;
    }
  }
}

function plural(n, word) {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}
