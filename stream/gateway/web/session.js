// Who this browser is: by a token, by a pairing code, or still known by its cookie.

import { get, post, remove } from "./api.js";
import { byId, setText } from "./dom.js";

const KNOWN = "omnirecall.signed-in";
const PAIR = /^#pair=(.+)$/;

/** The identity ("owner" or "viewer") if this browser is signed in, else null. */
export async function identityNow() {
  const code = location.hash.match(PAIR)?.[1];
  if (code) {
    // The code works once: it must stay neither in the address nor in the history.
    history.replaceState(null, "", location.pathname);
    return remember(await post("/pair", { code: decodeURIComponent(code) }));
  }
  // Asking without a session is an error in the browser's console; this mark only saves the question.
  if (!localStorage.getItem(KNOWN)) return null;
  try {
    return remember(await get("/session"));
  } catch (error) {
    if (error.status !== 401) throw error;
    forgetSignIn();
    return null;
  }
}

/** Sign in with what was typed: a token, a pairing code, or a whole pairing address. */
export async function signIn(secret) {
  const code = secret.match(/#pair=(.+)$/)?.[1];
  if (code) return remember(await post("/pair", { code: decodeURIComponent(code) }));
  try {
    return remember(await post("/session", { token: secret }));
  } catch (error) {
    if (error.status !== 401 && error.status !== 403) throw error;
    return remember(await post("/pair", { code: secret }).catch(() => Promise.reject(error)));
  }
}

export async function signOut() {
  forgetSignIn();
  await remove("/session").catch(() => {});
}

export function forgetSignIn() {
  localStorage.removeItem(KNOWN);
}

function remember({ identity }) {
  localStorage.setItem(KNOWN, "1");
  return identity;
}

/** Show the sign-in form; calls back with the identity. */
export function askWhoItIs(signedIn, problem = "") {
  byId("signed-out").hidden = false;
  byId("signed-in").hidden = true;
  setText(byId("sign-in-problem"), problem);
  const form = byId("sign-in");
  const field = byId("secret");
  field.focus();
  form.onsubmit = async (event) => {
    event.preventDefault();
    setText(byId("sign-in-problem"), "");
    try {
      const identity = await signIn(field.value.trim());
      field.value = "";
      signedIn(identity);
    } catch (error) {
      setText(byId("sign-in-problem"), error.status === 0 ? error.message : "That is neither the token nor a code that still works.");
      field.select();
    }
  };
}
