// The moment itself, in a sheet over the page: it plays, or says plainly that only a picture and words are left.

import { pictureUrl } from "./api.js";
import { byId, el, icon, setText } from "./dom.js";
import { momentTime, sourceName } from "./times.js";

const JUST_NOW_MS = 5 * 60_000;

/** Where a moment plays: the gateway says so itself, and says null where there is nothing to play. */
function playUrl(item) {
  return (typeof item.play === "string" ? item.play : item.play?.uri) ?? "";
}

/** Wire the sheet once. */
export function startPlayer() {
  const sheet = byId("player");
  byId("player-close").addEventListener("click", () => sheet.close());
  sheet.addEventListener("close", () => {
    const video = byId("player-video");
    video.pause();
    video.removeAttribute("src");
    video.load();
  });
  // A click beside the sheet closes it, as Escape does.
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
  byId("player-video").addEventListener("error", () => byId("player-video").hasAttribute("src") && tellPlain());
}

let shown = null;

/** Show and play the moment of an item (a citation, a hit, something remembered). */
export function playMoment(item) {
  shown = item;
  const video = byId("player-video");
  setText(byId("player-title"), titleOf(item));
  setText(byId("player-when"), [momentTime(item), sourceName(item.source)].filter(Boolean).join(" · "));
  setText(byId("player-words"), item.text ?? "");
  byId("player-picture").hidden = true;
  byId("player-plain").hidden = true;
  video.hidden = false;
  byId("player").showModal();
  const url = playUrl(item);
  if (!url) return tellPlain();
  const poster = pictureUrl(item.thumbnail);
  if (poster) video.poster = poster;
  else video.removeAttribute("poster");
  video.src = url;
  // Where sound may not begin by itself, the controls are there.
  video.play().catch(() => {});
  return undefined;
}

/** End it: its moment may be one that was forgotten. */
export function stopPlayer() {
  shown = null;
  byId("player").close();
  byId("player-video").removeAttribute("poster");
  byId("player-picture").removeAttribute("src");
  setText(byId("player-words"), "");
}

function titleOf(item) {
  return { utterance: "Said", seen_text: "Written", frame: "Seen", shot: "Seen", view: "Seen", gap: "Not recorded", exchange: "Asked before" }[item.kind] ?? "Moment";
}

/** Whether its event may still be going on: the clip of an event is kept when that has ended. */
function isJustNow(item) {
  return Date.now() - Date.parse(item?.t1 ?? item?.t0 ?? "") < JUST_NOW_MS;
}

function tellPlain() {
  const video = byId("player-video");
  video.hidden = true;
  video.removeAttribute("src");
  const picture = byId("player-picture");
  const url = pictureUrl(shown?.thumbnail);
  picture.hidden = !url;
  if (url) {
    picture.src = url;
    picture.alt = `Picture of ${momentTime(shown)}`;
  }
  byId("player-plain").hidden = false;
  const missing = url ? "No clip was kept of this moment." : "No clip and no picture were kept of this moment.";
  const left = url ? "This is its picture, with its time and words." : "These are its time and words.";
  const perhaps = isJustNow(shown) ? " Where clips are kept, it can be played once what is going on has ended." : "";
  setText(byId("player-plain"), `${missing}${perhaps} ${left}`);
}

/** A card for a moment: thumbnail, time, words; it plays when pressed. */
export function momentCard(item, number = null) {
  const url = pictureUrl(item.thumbnail);
  const thumb = el("span", { class: "thumb" });
  if (url) thumb.append(el("img", { src: url, alt: "", loading: "lazy", decoding: "async" }));
  else thumb.append(icon("words"));
  thumb.append(el("span", { class: "go" }, icon("play")));
  if (number !== null) thumb.append(el("span", { class: "no" }, String(number)));
  const told = el("span", { class: "told" }, el("span", { class: "when" }, momentTime(item, true)));
  const words = item.text;
  if (words) told.append(el("span", { class: "text" }, words));
  if (item.source) told.append(el("span", { class: "from" }, [sourceName(item.source), item.place].filter(Boolean).join(" · ")));
  const label = `${number === null ? "" : `Citation ${number}. `}Play ${momentTime(item)}${words ? `: ${words}` : ""}`;
  return el("button", { type: "button", class: "moment", "aria-label": label, onclick: () => playMoment(item) }, thumb, told);
}
