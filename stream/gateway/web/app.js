// The page: signs in, connects, and passes what the server says to the view that shows it.

import { onSignedOut } from "./api.js";
import { Alerts } from "./alerts.js";
import { Camera } from "./camera.js";
import { Conversation } from "./conversation.js";
import { byId, setPressed, setText, setWords } from "./dom.js";
import { Epochs } from "./epochs.js";
import { Forget } from "./forget.js";
import { Known } from "./known.js";
import { Live } from "./live.js";
import { hush, notice, tellError } from "./notices.js";
import { Pairing } from "./pairing.js";
import { startPlayer, stopPlayer } from "./player.js";
import { askWhoItIs, forgetSignIn, identityNow, signOut } from "./session.js";
import { LiveSocket } from "./socket.js";
import { Voice } from "./speech.js";
import { System } from "./system.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";

const VIEWS = ["live", "timeline", "known", "alerts", "system"];
const WORDS = { open: "Connected", connecting: "Connecting…", closed: "Not connected; trying again" };
const NAME = "omnirecall.camera-name";
const SPEAK = "omnirecall.speak";

class App {
  constructor(identity) {
    this.identity = identity;
    this.wanted = null;
    this.isServerPaused = false;
    this.ownState = undefined;
    this.epochs = new Epochs();
    const playing = (epoch, state, text) => this.playing(epoch, state, text);
    this.voice = new Voice(window.speechSynthesis, playing, () => this.conversation.voiceChanged());
    this.socket = new LiveSocket({ message: (told) => this.hear(told), state: (state, why) => this.connection(state, why) });
    this.camera = new Camera(this.socket, { changed: () => this.live.changed(), failed: (words) => this.live.failed(words) });
    this.camera.name = ownName();
    const isOwner = () => this.identity === "owner";
    this.conversation = new Conversation(this.socket, this.epochs, this.voice);
    this.transcript = new Transcript();
    this.live = new Live({ camera: this.camera, socket: this.socket, voice: this.voice });
    this.views = { live: { show: () => this.shown() }, timeline: new Timeline(), known: new Known(isOwner) };
    this.views.alerts = new Alerts({ isOwner, say: (text) => this.voice.speak(text, this.epochs.newest) });
    this.views.system = new System({ isOwner, pausing: (isPaused) => this.pausing(isPaused) });
    this.forget = new Forget(() => this.forgotten());
    this.pairing = new Pairing();
  }

  /** The live view is looked at. */
  shown() {
    this.live.changed();
    this.transcript.show();
    this.conversation.show();
  }

  /** What is read aloud here; the server believes only the owner that words are not a user's. */
  playing(epoch, state, text) {
    if (this.identity === "owner") this.socket.say({ type: "playing", epoch, state, text });
  }

  /** What this page shows may be of what was forgotten; memory is asked anew for what is left. */
  forgotten() {
    stopPlayer();
    hush();
    for (const part of [this.transcript, this.conversation, this.views.timeline, this.views.known, this.views.alerts]) part.clear();
    // Alerts are asked for by themselves, and what is "now" when its list is opened: as if it just was.
    byId("now-items").replaceChildren();
    byId("now").dispatchEvent(new Event("toggle"));
    this.recall();
    for (const name of ["timeline", "known"]) if (!byId(`view-${name}`).hidden) this.views[name].show();
  }

  /** Fill the transcript with what is remembered of the last minutes. */
  recall() {
    // Where memory does not answer yet, its state says so; what comes is shown all the same.
    this.transcript.recall().catch(() => {});
  }

  start() {
    setText(byId("identity"), this.identity);
    for (const part of document.querySelectorAll(".owner")) part.hidden = this.identity !== "owner";
    byId("signed-out").hidden = true;
    byId("signed-in").hidden = false;
    this.speaking();
    this.device();
    startPlayer();
    addEventListener("hashchange", () => this.route(true));
    this.route(false);
    this.socket.open();
    this.views.alerts.show();
  }

  /** Show the view that the address names. */
  route(isMoved) {
    const name = VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "live";
    for (const view of VIEWS) byId(`view-${view}`).hidden = view !== name;
    for (const link of document.querySelectorAll(".tabs a")) {
      if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const title = byId(`${name}-title`);
    document.title = name === "live" ? "OmniRecall" : `${title.textContent} · OmniRecall`;
    this.views[name].show();
    if (!isMoved) return;
    scrollTo(0, 0);
    title.focus({ preventScroll: true });
  }

  connection(state, why) {
    byId("connection").dataset.state = state;
    setText(byId("connection").querySelector(".words"), why ? `Not connected: ${why}; trying again` : WORDS[state]);
    if (state !== "closed") return;
    this.conversation.disconnected();
    this.camera.disconnected();
    this.voice.silence();
  }

  /** One message of the server. */
  hear(told) {
    switch (told.type) {
      case "hello": return this.hello(told);
      case "state": return this.state(told);
      case "pushed": return this.camera.pushed(told);
      case "camera": return this.camera.taken(told);
      case "voice": return this.live.voiceOf(told);
      case "transcript": return this.transcript.heard(told);
      case "seen": return this.transcript.seen(told);
      case "turn": return this.conversation.turn(told);
      case "token": return this.conversation.token(told);
      case "answer": return this.conversation.answer(told);
      case "forgotten": return this.forgotten();
      case "alert": return this.views.alerts.raised(told);
      case "error": return this.failed(told);
      default: return undefined; // A newer server may say more than this page knows.
    }
  }

  failed(told) {
    this.camera.refused();
    // An error without an epoch is of no question.
    if (told.epoch === undefined || !this.conversation.failed(told)) tellError(told);
  }

  hello(told) {
    // A server that was started again counts from the beginning.
    this.epochs.newest = told.epoch ?? 0;
    this.conversation.dialogueId ??= told.dialogue_id;
    this.camera.connected();
    this.recall();
    this.views.alerts.missed();
  }

  state(told) {
    const sources = told.sources ?? [];
    const open = sources.filter((one) => ["reading", "starting", "lost", "paused"].includes(one.state));
    // Without any source the server has no say: a pause of this page stays.
    const isPaused = open.length ? open.every((one) => one.state === "paused") : this.isServerPaused;
    this.views.system.state(told);
    // Only a change counts: a state that was on its way when the owner pressed a button must not undo it.
    if (isPaused !== this.isServerPaused) {
      this.isServerPaused = isPaused;
      this.views.system.setPaused(isPaused);
      this.pausing(isPaused);
    }
    this.own(sources.find((one) => one.uri === this.camera.uri)?.state);
    this.live.told(sources, this.views.system.isPaused);
  }

  /** Someone paused, or resumed, this very camera: it closes, or opens, here too. */
  own(state) {
    const before = this.ownState;
    this.ownState = state;
    if (state === before || this.views.system.isPaused) return;
    if (state === "paused") this.pausing(true);
    else if (before === "paused") this.pausing(false);
  }

  /** Close the own devices, or open again what was open. */
  async pausing(isPaused) {
    if (isPaused) {
      this.wanted ??= { ...this.camera.wants };
      this.voice.silence();
      await this.camera.rest();
    } else if (this.wanted) {
      const wanted = this.wanted;
      this.wanted = null;
      await this.camera.set(wanted);
    }
  }

  speaking() {
    const button = byId("speak-switch");
    button.hidden = !this.voice.canSpeak;
    const show = () => {
      setPressed(button, this.voice.isOn);
      setWords(button, this.voice.isOn ? "Reading answers aloud" : "Read answers aloud");
    };
    this.voice.switchTo(localStorage.getItem(SPEAK) === "1");
    button.addEventListener("click", () => {
      this.voice.switchTo(!this.voice.isOn);
      localStorage.setItem(SPEAK, this.voice.isOn ? "1" : "");
      show();
    });
    show();
  }

  device() {
    byId("device-name").value = this.camera.name;
    byId("device").addEventListener("submit", async (event) => {
      event.preventDefault();
      const wants = { ...this.camera.wants };
      await this.camera.close();
      this.camera.name = byId("device-name").value;
      localStorage.setItem(NAME, this.camera.name);
      await this.camera.set(wants);
      notice(`This camera is now called ${this.camera.name}`);
    });
    byId("sign-out").addEventListener("click", async () => {
      await this.camera.close();
      this.socket.close();
      await signOut();
      location.replace("/");
    });
  }
}

function ownName() {
  const kept = localStorage.getItem(NAME);
  if (kept) return kept;
  const kind = matchMedia("(pointer: coarse)").matches ? "phone" : "desk";
  const made = `${kind}-${crypto.getRandomValues(new Uint16Array(1))[0].toString(16).padStart(4, "0")}`;
  localStorage.setItem(NAME, made);
  return made;
}

async function main() {
  const begin = (identity) => new App(identity).start();
  onSignedOut(() => {
    forgetSignIn();
    location.reload();
  });
  try {
    const identity = await identityNow();
    if (identity) begin(identity);
    else askWhoItIs(begin);
  } catch (error) {
    askWhoItIs(begin, error.status === 0 ? error.message : "That code is over. Make another, or use the token.");
  }
}

main();
