// Forgetting a range: first what would go, then, once confirmed, it goes.

import { post } from "./api.js";
import { byId, el, fill, setText } from "./dom.js";
import { tellError } from "./notices.js";
import { bytes, stamp } from "./times.js";

export class Forget {
  /** @param {() => void} gone what to do once something was forgotten */
  constructor(gone) {
    this.gone = gone;
    this.selector = null;
    byId("forget-what").addEventListener("change", (event) => {
      byId("forget-range").hidden = event.target.value !== "range";
    });
    byId("forget").addEventListener("submit", (event) => this._look(event));
    byId("forget-no").addEventListener("click", () => byId("forget-sheet").close());
    byId("forget-yes").addEventListener("click", () => this._forget());
  }

  async _look(event) {
    event.preventDefault();
    const chosen = this._chosen();
    if (!chosen) return setText(byId("forget-told"), "Say from when to when; the end comes after the beginning.");
    setText(byId("forget-told"), "Looking at what would go…");
    try {
      const told = await post("/forget", { ...chosen.selector, dry_run: true });
      setText(byId("forget-told"), "");
      this._ask(chosen, told);
    } catch (error) {
      setText(byId("forget-told"), "");
      tellError(error);
    }
  }

  /** The range is fixed when it is looked at: "the last five minutes" must not have moved when it is confirmed. */
  _chosen() {
    const what = byId("forget-what").value;
    const now = Date.now();
    const between = what === "range" ? [byId("forget-from").value, byId("forget-to").value].map((at) => Date.parse(at)) : [now - Number(what) * 60_000, now];
    if (between.some(Number.isNaN) || between[0] >= between[1]) return null;
    const [from, to] = between.map((at) => new Date(at).toISOString());
    return { selector: { between: [from, to] }, words: `From ${stamp(from)} to ${stamp(to)}` };
  }

  _ask({ selector, words }, told) {
    this.selector = selector;
    const counts = countsOf(told);
    if (!counts.length) return setText(byId("forget-told"), "Nothing is remembered of that time.");
    setText(byId("forget-sheet-what"), `${words}, this would go:`);
    fill(byId("forget-sheet-counts"), counts.map(([what, n]) => el("li", {}, el("span", {}, what), el("strong", {}, n))));
    byId("forget-sheet").showModal();
    return byId("forget-no").focus();
  }

  async _forget() {
    byId("forget-yes").disabled = true;
    setText(byId("forget-yes"), "Forgetting…");
    try {
      const told = await post("/forget", { ...this.selector, dry_run: false });
      byId("forget-sheet").close();
      const isVerified = told.verified === true;
      setText(byId("forget-told"), isVerified ? "Forgotten. A search over the whole store found nothing of it." : told.over === false ? "It is being forgotten; what is left is removed in the background." : "Forgotten.");
      this.gone();
    } catch (error) {
      byId("forget-sheet").close();
      tellError(error);
    } finally {
      byId("forget-yes").disabled = false;
      setText(byId("forget-yes"), "Forget it");
    }
  }
}

function countsOf(told) {
  return Object.entries(told.counts ?? {})
    .filter(([, n]) => n)
    .map(([what, n]) => (what.endsWith("_bytes") ? [what.replace(/_bytes$/, "").replaceAll("_", " "), bytes(n)] : [what.replaceAll("_", " "), String(n)]));
}
