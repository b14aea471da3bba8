// Runs on the sound thread: how loud the own microphone is, and at once when it sounds like speech.
// A window is 10 ms. Speech-like: well above the room's own noise for three windows of the last
// four, with neither the steady hiss nor the hum that fans and mains make (by zero crossings).

const WINDOW_S = 0.01;
const TOLD_EVERY = 5;
const OVER_FLOOR_DB = 10;
const LEAST_DB = -48;
const CROSSINGS_HZ = [60, 5_000];
const NEEDED = 3;

class SpeechLevel extends AudioWorkletProcessor {
  constructor() {
    super();
    this.window = Math.round(sampleRate * WINDOW_S);
    this.sum = 0;
    this.crossings = 0;
    this.before = 0;
    this.n = 0;
    this.floorDb = -55;
    this.peakDb = -100;
    this.told = 0;
    this.recent = 0;
  }

  process(inputs) {
    const sound = inputs[0]?.[0];
    if (!sound) return true;
    for (const sample of sound) {
      this.sum += sample * sample;
      if (sample >= 0 !== this.before >= 0) this.crossings += 1;
      this.before = sample;
      this.n += 1;
      if (this.n === this.window) this.endWindow();
    }
    return true;
  }

  endWindow() {
    const db = 10 * Math.log10(this.sum / this.n + 1e-10);
    const crossingsHz = this.crossings / 2 / WINDOW_S;
    // The floor follows downwards at once and upwards slowly: speech must not become the room.
    this.floorDb = db < this.floorDb ? this.floorDb + (db - this.floorDb) * 0.2 : Math.min(this.floorDb + 0.02, -30);
    const isLike =
      db > Math.max(LEAST_DB, this.floorDb + OVER_FLOOR_DB) && crossingsHz > CROSSINGS_HZ[0] && crossingsHz < CROSSINGS_HZ[1];
    const was = this.isSpeech;
    this.recent = ((this.recent << 1) | (isLike ? 1 : 0)) & 0b1111;
    this.isSpeech = bits(this.recent) >= NEEDED;
    if (this.isSpeech && !was) this.port.postMessage({ type: "speech" });
    this.peakDb = Math.max(this.peakDb, db);
    this.told += 1;
    if (this.told === TOLD_EVERY) {
      this.port.postMessage({ type: "level", db: this.peakDb, isSpeech: this.isSpeech });
      this.told = 0;
      this.peakDb = -100;
    }
    this.sum = this.crossings = this.n = 0;
  }
}

function bits(n) {
  return (n & 1) + ((n >> 1) & 1) + ((n >> 2) & 1) + ((n >> 3) & 1);
}

registerProcessor("speech-level", SpeechLevel);
