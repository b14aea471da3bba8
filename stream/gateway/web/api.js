// The gateway over HTTP. The session cookie goes along by itself; no token is kept by the page.

const BASE = "/api/v1";

/** An answer of the gateway that is no good one: its name, its words, and what to do. */
export class ApiError extends Error {
  constructor(status, told) {
    super(told?.message ?? `the gateway answered ${status}`);
    this.status = status;
    this.kind = told?.error ?? "";
    this.remedy = told?.remedy ?? "";
  }
}

let whenSignedOut = () => {};

/** What to do when the gateway no longer knows this browser. */
export function onSignedOut(act) {
  whenSignedOut = act;
}

/** The gateway no longer knows this browser. */
export function signedOut() {
  whenSignedOut();
}

async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(BASE + path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, { message: "OmniRecall cannot be reached", remedy: "Is it still running?" });
  }
  const told = await answer.json().catch(() => null);
  if (answer.ok) return told ?? {};
  if (answer.status === 401 && path !== "/session" && path !== "/pair") whenSignedOut();
  throw new ApiError(answer.status, told);
}

export const get = (path, query = {}) => {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return call("GET", given.length ? `${path}?${new URLSearchParams(given)}` : path);
};
export const post = (path, body = {}) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

/** Where a picture of the store is served; empty where there is none. Takes a hash, a path of the store or an address. */
export function pictureUrl(thumbnail) {
  if (!thumbnail) return "";
  if (thumbnail.startsWith(`${BASE}/`)) return thumbnail;
  return `${BASE}/media/${encodeURIComponent(thumbnail.split("/").at(-1))}`;
}

export const frameUrl = (sourceId) => `${BASE}/sources/${encodeURIComponent(sourceId)}/frame`;
