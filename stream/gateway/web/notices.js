// What is said once: to the eye in a corner, to a screen reader in one of two live regions.

import { byId, el, icon } from "./dom.js";

const SHOWN_MS = 8_000;

/** Say something to screen readers when they have finished what they say now. */
export function announce(text) {
  say(byId("polite"), text);
}

/** Say something to screen readers at once. */
export function announceNow(text) {
  say(byId("urgent"), text);
}

function say(region, text) {
  // The same words twice are spoken twice only if the region was empty in between.
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = text;
  });
}

/** A notice for the eye and the ear; it goes by itself or by its button. */
export function notice(text) {
  const box = el("div", { class: "notice" }, el("p", {}, text));
  const close = el("button", { type: "button", "aria-label": "Close this notice" }, icon("close"));
  close.addEventListener("click", () => box.remove());
  box.append(close);
  byId("notices").append(box);
  announce(text);
  setTimeout(() => {
    if (!box.contains(document.activeElement)) box.remove();
  }, SHOWN_MS);
}

/** Take back all that was said: it may quote what was forgotten. */
export function hush() {
  for (const id of ["polite", "urgent", "notices"]) byId(id).replaceChildren();
}

/** Tell an error of the gateway in its own words, with what to do. */
export function tellError(error) {
  notice(error.remedy ? `${error.message}. ${error.remedy}` : error.message);
}
