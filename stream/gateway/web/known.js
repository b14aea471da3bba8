// Places and people that the memory tells again, and the names that the owner gives them.

import { get, pictureUrl, post } from "./api.js";
import { byId, el, fill, icon, setText } from "./dom.js";
import { announce, tellError } from "./notices.js";
import { stamp } from "./times.js";

export class Known {
  /** @param {() => boolean} isOwner */
  constructor(isOwner) {
    this.isOwner = isOwner;
  }

  async show() {
    await Promise.all([this._list("places", "place", placeWords), this._list("people", "person", personWords)]);
  }

  /** What was forgotten must not stand here; it is asked for anew when it is shown. */
  clear() {
    for (const list of ["places", "people"]) byId(list).replaceChildren();
  }

  async _list(kind, iconName, wordsOf) {
    const empty = byId(`${kind}-empty`);
    try {
      const told = await get(`/${kind}`);
      const known = told[kind] ?? [];
      fill(byId(kind), known.map((one) => this._card(kind, one, iconName, wordsOf)), empty);
      setText(empty, kind === "places" ? "No place is known yet. Places are told again once they were seen more than once." : "No person is known. Voices are told apart only where the owner has switched it on.");
    } catch (error) {
      fill(byId(kind), [], empty);
      setText(empty, [error.message, error.remedy].filter(Boolean).join(". "));
    }
  }

  _card(kind, one, iconName, wordsOf) {
    const url = pictureUrl(one.thumbnail);
    const picture = url ? el("img", { src: url, alt: "", loading: "lazy" }) : el("span", { class: "blank" }, icon(iconName));
    const name = one.label || one.name || "Without a name";
    const told = el("div", {}, el("h3", {}, name), el("p", { class: "hint" }, wordsOf(one)));
    if (this.isOwner()) told.append(this._labelForm(kind, one, name));
    return el("li", { class: "card" }, picture, told);
  }

  _labelForm(kind, one, name) {
    const field = el("input", { type: "text", maxlength: 80, autocomplete: "off", placeholder: "Name", "aria-label": `New name for ${name}` });
    return el("form", { onsubmit: (event) => this._label(event, kind, one.id, field.value.trim()) }, field, el("button", { type: "submit" }, "Name"));
  }

  async _label(event, kind, id, label) {
    event.preventDefault();
    if (!label) return;
    try {
      await post(`/${kind}/${encodeURIComponent(id)}/label`, { label });
      announce(`Named ${label}`);
      await this.show();
    } catch (error) {
      tellError(error);
    }
  }
}

const last = (when) => (when ? `, last ${stamp(when)}` : "");
const count = (n, word) => `${n ?? 0} ${word}${n === 1 ? "" : "s"}`;
const placeWords = (one) => `${count(one.visits, "visit")}${last(one.last)}`;
const personWords = (one) => `${count(one.utterances, "utterance")}${last(one.last)}`;
