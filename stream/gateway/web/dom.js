// Elements. Text that was seen or heard is hostile data: it enters the page as text and nothing else.

const SVG = "http://www.w3.org/2000/svg";

/** The element of this id; a missing one is a mistake in index.html. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/**
 * A new element. Children are nodes or text; attributes are set as attributes.
 * @param {string} name
 * @param {Record<string, string | number | boolean | null | undefined | EventListener>} attributes
 *   `on…` takes a listener; null, undefined and false leave the attribute away.
 */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** An icon of icons.svg; decoration only, so hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** Show the words of a button that has an icon. */
export function setWords(button, words) {
  setText(button.querySelector(".words"), words);
}

export function setPressed(button, is) {
  button.setAttribute("aria-pressed", String(Boolean(is)));
}

/** Write text only where it differs: a live region would speak it again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Replace what a list holds, and show its word for "nothing" when it is empty. */
export function fill(list, items, empty = null) {
  list.replaceChildren(...items);
  if (empty) empty.hidden = items.length > 0;
}

/** Draw a QR code from the server's SVG: only its paths and their numbers are taken over. */
export function pathsOf(svgText) {
  const given = new DOMParser().parseFromString(svgText, "image/svg+xml").documentElement;
  if (given.localName !== "svg") return null;
  const svg = document.createElementNS(SVG, "svg");
  const size = (side) => Number.parseFloat(given.getAttribute(side) ?? "0") || 0;
  svg.setAttribute("viewBox", given.getAttribute("viewBox") ?? `0 0 ${size("width")} ${size("height")}`);
  for (const path of given.querySelectorAll("path")) {
    const own = document.createElementNS(SVG, "path");
    for (const key of ["d", "transform", "fill", "stroke", "stroke-width"]) {
      if (path.hasAttribute(key)) own.setAttribute(key, path.getAttribute(key));
    }
    if (path.hasAttribute("stroke") && !path.hasAttribute("fill")) own.setAttribute("fill", "none");
    svg.append(own);
  }
  svg.setAttribute("role", "img");
  return svg;
}
