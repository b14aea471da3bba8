// Answers read aloud by the browser, and how they give way to a person who speaks.
//
// Duck: the voice is held at once (a speaking utterance cannot be made softer by this interface,
// so it is paused). `cancel` throws away what is left; `resume` goes on. Without a word from the
// server it goes on by itself after a while: a cough must not silence an answer for ever.

const WAIT_MS = 3_000;

export class Voice {
  /**
   * @param {SpeechSynthesis | undefined} engine
   * @param {(epoch: number, state: "started" | "ended", text: string) => void} tell
   * @param {() => void} changed it begins to speak, or nothing waits any more
   */
  constructor(engine, tell, changed) {
    this.engine = engine;
    this.tell = tell;
    this.changed = changed;
    this.isOn = false;
    this.isDucked = false;
    this.waiting = new Set();
    this.timer = 0;
  }

  get canSpeak() {
    return Boolean(this.engine);
  }

  get isSpeaking() {
    return this.waiting.size > 0;
  }

  switchTo(isOn) {
    this.isOn = isOn && this.canSpeak;
    if (!this.isOn) this.silence();
  }

  /** Speak a sentence of a turn after those before it. */
  speak(text, epoch) {
    if (!this.isOn || !text.trim()) return;
    const spoken = new SpeechSynthesisUtterance(text);
    spoken.lang = "en";
    const told = { epoch, text, spoken, hasStarted: false };
    this.waiting.add(told);
    spoken.onstart = () => {
      told.hasStarted = true;
      this.tell(epoch, "started", text);
    };
    spoken.onend = spoken.onerror = () => this._ended(told);
    this.engine.speak(spoken);
    if (this.waiting.size === 1) this.changed();
  }

  /** Someone speaks: hold the voice at once. True if it was speaking. */
  duck() {
    if (!this.isSpeaking || this.isDucked) return false;
    this.engine.pause();
    this.isDucked = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.resume(), WAIT_MS);
    return true;
  }

  /** It was nothing: go on. */
  resume() {
    clearTimeout(this.timer);
    if (!this.isDucked) return;
    this.isDucked = false;
    this.engine.resume();
  }

  /** It was a person: say no more of this. */
  silence() {
    clearTimeout(this.timer);
    const given = [...this.waiting];
    this.waiting.clear();
    if (this.engine) {
      this.engine.cancel();
      // A paused engine stays paused past `cancel`, and would swallow the next answer.
      if (this.isDucked) this.engine.resume();
    }
    this.isDucked = false;
    for (const told of given) if (told.hasStarted) this.tell(told.epoch, "ended", told.text);
    if (given.length) this.changed();
  }

  _ended(told) {
    if (!this.waiting.delete(told)) return;
    if (told.hasStarted) this.tell(told.epoch, "ended", told.text);
    if (!this.isSpeaking) this.changed();
  }
}

/** Cuts streamed words into the sentences that are complete. */
export class Sentences {
  constructor() {
    this.number = null;
    this.text = "";
  }

  /** Add words of a sentence; returns the sentence before, if this begins another. */
  add(text, number) {
    let whole = "";
    if (this.number !== null && number !== this.number) {
      whole = this.text.trim();
      this.text = "";
    }
    this.number = number;
    this.text += text;
    return whole;
  }

  /** The last one. */
  end() {
    const whole = this.text.trim();
    this.text = "";
    this.number = null;
    return whole;
  }
}
