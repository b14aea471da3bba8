// Questions and answers: asked by text or by voice, streamed word by word, each sentence with its moments.

import { byId, el, setText } from "./dom.js";
import { Following } from "./following.js";
import { announce } from "./notices.js";
import { momentCard, playMoment } from "./player.js";
import { Sentences } from "./speech.js";

const KEPT = 60;

export class Conversation {
  /**
   * @param {import("./socket.js").LiveSocket} socket
   * @param {import("./epochs.js").Epochs} epochs
   * @param {import("./speech.js").Voice} voice
   */
  constructor(socket, epochs, voice) {
    Object.assign(this, { socket, epochs, voice });
    this.dialogueId = undefined;
    this.turns = new Map();
    this.place = byId("conversation");
    this.following = new Following(this.place);
    byId("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this._askTyped();
    });
    byId("stop").addEventListener("click", () => this.cancel());
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !document.querySelector("dialog[open]") && this._isBusy()) this.cancel();
    });
  }

  /** Open a turn with a question; the one before it is overtaken. */
  ask(question) {
    const epoch = this.epochs.next();
    this._overtake(epoch);
    const turnId = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this._begin(epoch, turnId, question, "");
    const isSent = this.socket.say({ type: "ask", turn_id: turnId, question, epoch, dialogue_id: this.dialogueId });
    if (!isSent) this._fail(epoch, "OmniRecall cannot be reached just now. Ask again when the connection is back.");
  }

  /** The voice begins, or has nothing more to say. */
  voiceChanged() {
    this._stopShown();
  }

  /** It is looked at again. */
  show() {
    this.following.keep();
  }

  /** What was forgotten must not be quoted here: answers go, with their moments. */
  clear() {
    if (this._isBusy()) this.cancel();
    this.turns.clear();
    this.place.replaceChildren(byId("conversation-empty"));
    byId("conversation-empty").hidden = false;
    this._stopShown();
  }

  /** End what is being answered, here and on the server. */
  cancel() {
    const epoch = this.epochs.next();
    this._overtake(epoch);
    this.socket.say({ type: "cancel", epoch });
  }

  /** The server on a spoken turn: it opened, was cancelled, or goes on. */
  turn({ phase, epoch, turn_id: turnId, text, reason }) {
    if (phase === "duck") this.voice.duck();
    else if (phase === "resume") this.voice.resume();
    else if (phase === "cancel" || phase === "open") {
      this.epochs.learn(epoch);
      this._overtake(this.epochs.newest, true);
      if (phase === "open" && text && !this.turns.has(epoch)) this._begin(epoch, turnId, text, "spoken");
    } else if (phase === "cancelled") this._withdrawn(this._asked(epoch, turnId));
    else if (phase === "ignored" && reason) setText(byId("voice-state"), "not for me");
  }

  token({ epoch, turn_id: turnId, text, sentence }) {
    if (!this.epochs.accepts(epoch)) return;
    const turn = this._turnOf(epoch, turnId);
    if (!turn || turn.isOver) return;
    if (!turn.hasWords) {
      turn.hasWords = true;
      turn.said.replaceChildren();
      turn.said.classList.remove("waiting");
    }
    turn.said.append(text);
    this.following.keep();
    const whole = turn.sentences.add(text, sentence);
    if (whole) this._speak(turn, whole, epoch);
  }

  answer({ epoch, turn_id: turnId, answer }) {
    if (!this.epochs.accepts(epoch)) return;
    const turn = this._turnOf(epoch, turnId) ?? this._begin(epoch, "", "", "");
    if (turn.isOver) return;
    turn.isOver = true;
    if (turn.hasWords) this._speak(turn, turn.sentences.end(), epoch);
    else for (const sentence of answer.sentences ?? []) this._speak(turn, sentence.text, epoch);
    if (!turn.hasWords && !answer.sentences?.length) this._speak(turn, answer.answer, epoch);
    draw(turn.box, answer);
    this.following.keep();
    announce(answer.answer);
    this._stopShown();
  }

  /** An error of the gateway: told under the question it belongs to, if there is one. False if there is none. */
  failed({ epoch, turn_id: turnId, message, remedy }) {
    const turn = this._asked(epoch, turnId);
    if (!turn || turn.isOver) return false;
    this._fail(turn.epoch, [message, remedy].filter(Boolean).join(" "));
    return true;
  }

  /** The connection is lost: what was being answered will not be finished. */
  disconnected() {
    const open = this._open();
    if (open) this._fail(open.epoch, "The connection was lost before the answer was complete. Ask again.");
  }

  /** A turn by its epoch; one that the server answers under a later epoch than it was asked, by its id. */
  _asked(epoch, turnId) {
    return this.turns.get(epoch) ?? [...this.turns.values()].find((turn) => turnId && turn.turnId === turnId);
  }

  /** As `_asked`, for words that came: the turn is of their epoch now, later than one that it crossed. */
  _turnOf(epoch, turnId) {
    const turn = this._asked(epoch, turnId);
    if (!turn || turn.epoch === epoch) return turn;
    if (turn.isOver && !turn.crossed) return undefined;
    if (turn.crossed) turn.crossed.replaceWith(turn.said);
    turn.crossed = null;
    turn.isOver = false;
    this.turns.delete(turn.epoch);
    turn.epoch = epoch;
    this.turns.set(epoch, turn);
    this._overtake(epoch);
    return turn;
  }

  _askTyped() {
    const field = byId("question");
    const question = field.value.trim();
    if (!question) return;
    field.value = "";
    this.ask(question);
  }

  _begin(epoch, turnId, question, how) {
    byId("conversation-empty").hidden = true;
    const said = el("p", { class: "said waiting" }, "Looking…");
    const box = el("div", { class: "answered" }, said);
    const asked = question ? el("p", { class: "asked" }, el("span", { class: "unseen" }, "You asked: "), question, how ? el("span", { class: "hint" }, how) : null) : "";
    this.place.append(asked, box);
    while (this.place.children.length > KEPT) this.place.children[1].remove();
    const turn = { epoch, turnId, said, box, hasWords: false, isOver: false, crossed: null, sentences: new Sentences() };
    this.turns.set(epoch, turn);
    if (this.turns.size > KEPT) this.turns.delete(this.turns.keys().next().value);
    this.following.toEnd();
    this._stopShown();
    return turn;
  }

  /**
   * Turns below this epoch are over: their words stay as far as they came, and say so. One that `mayGoOn` may
   * have been asked when the server had overtaken it already: it is answered under a later epoch.
   */
  _overtake(epoch, mayGoOn = false) {
    this.voice.silence();
    for (const turn of this.turns.values()) if (turn.epoch < epoch) this._withdrawn(turn, mayGoOn);
    this._stopShown();
  }

  /** The server withdrew just this turn. */
  _withdrawn(turn, mayGoOn = false) {
    if (!turn) return;
    if (!mayGoOn) turn.crossed = null;
    if (turn.isOver) return;
    turn.isOver = true;
    const hint = el("p", { class: "hint" }, "Stopped.");
    if (!turn.hasWords && mayGoOn) turn.crossed = hint;
    if (!turn.hasWords) turn.said.remove();
    turn.box.append(hint);
    this._stopShown();
  }

  _fail(epoch, words) {
    const turn = this.turns.get(epoch);
    turn.isOver = true;
    if (!turn.hasWords) turn.said.remove();
    turn.box.append(el("p", { class: "problem" }, words));
    announce(words);
    this._stopShown();
  }

  _speak(turn, text, epoch) {
    if (text && this.epochs.isCurrent(epoch)) this.voice.speak(text, epoch);
  }

  _open() {
    return [...this.turns.values()].find((turn) => !turn.isOver);
  }

  /** Whether there is something to stop: an answer whose words are complete may still be read aloud. */
  _isBusy() {
    return Boolean(this._open()) || this.voice.isSpeaking;
  }

  _stopShown() {
    byId("stop").hidden = !this._isBusy();
  }
}

/** An answer whole: sentences with the numbers of their moments, the moments, conflicts and notices. */
function draw(box, answer) {
  const said = el("p", { class: "said" });
  const citations = answer.citations ?? [];
  const sentences = answer.sentences?.length ? answer.sentences : [{ text: answer.answer, citations: [] }];
  for (const sentence of sentences) {
    said.append(sentence.text);
    for (const at of sentence.citations ?? []) if (citations[at]) said.append(citeButton(citations[at], at + 1));
    said.append(" ");
  }
  box.replaceChildren(said);
  if (citations.length) box.append(el("ul", { class: "cites", "aria-label": "Moments that the answer stands on" }, ...citations.map((item, at) => el("li", {}, momentCard(item, at + 1)))));
  for (const words of answer.conflicts ?? []) box.append(el("p", { class: "hint conflict" }, words));
  for (const words of [...(answer.notices ?? []), ...gapsOf(answer.coverage)]) box.append(el("p", { class: "hint" }, words));
}

function citeButton(item, number) {
  return el("button", { type: "button", class: "cite", "aria-label": `Play citation ${number}`, onclick: () => playMoment(item) }, String(number));
}

function gapsOf(coverage) {
  const gaps = coverage?.gaps ?? [];
  if (!gaps.length) return [];
  const reasons = [...new Set(gaps.map((gap) => gap.reason).filter(Boolean))].slice(0, 3).join(", ");
  return [`${gaps.length === 1 ? "One stretch was" : `${gaps.length} stretches were`} not recorded${reasons ? `: ${reasons}` : ""}.`];
}
