// The binary frame of the live socket, and the account of what may be sent. Pure.

const VERSION = 1;
const KIND_WEBM = 1;
export const HEAD_BYTES = 18;

/**
 * One chunk of a recorder as the socket carries it: version u8, kind u8, segment u32, index u32,
 * capture time u64 (ns since 1970, UTC), all big-endian, then the bytes.
 * @param {{segment: number, index: number, tMs: number, bytes: ArrayBuffer}} chunk
 * @returns {ArrayBuffer}
 */
export function frameOf({ segment, index, tMs, bytes }) {
  const framed = new Uint8Array(HEAD_BYTES + bytes.byteLength);
  const head = new DataView(framed.buffer);
  head.setUint8(0, VERSION);
  head.setUint8(1, KIND_WEBM);
  head.setUint32(2, segment);
  head.setUint32(6, index);
  // Milliseconds since 1970 have a fraction; whole nanoseconds do not fit a double.
  const wholeMs = Math.floor(tMs);
  head.setBigUint64(10, BigInt(wholeMs) * 1_000_000n + BigInt(Math.round((tMs - wholeMs) * 1_000_000)));
  framed.set(new Uint8Array(bytes), HEAD_BYTES);
  return framed.buffer;
}

/** Chunks that wait for the server's window, in order; nothing is dropped out of the middle of a segment. */
export class Outgoing {
  /** @param {number} maxBytes what may wait; over it the oldest whole segment goes */
  constructor(maxBytes) {
    this.maxBytes = maxBytes;
    this.waiting = [];
    this.waitingBytes = 0;
    this.window = 8;
    this.segment = -1;
    this.sentThrough = -1;
    this.ackedThrough = -1;
    this.cutSegment = -1;
  }

  put(chunk) {
    // The last bytes of a recorder come after its end was decided.
    if (chunk.segment <= this.cutSegment) return;
    this.waiting.push(chunk);
    this.waitingBytes += chunk.bytes.byteLength;
    while (this.waitingBytes > this.maxBytes && this.waiting[0].segment !== chunk.segment) this._drop(this.waiting[0].segment);
  }

  /** The server has taken chunks through this one, and grants so many beyond it. */
  pushed(segment, through, window) {
    if (segment !== this.segment) return;
    this.ackedThrough = Math.max(this.ackedThrough, through);
    this.window = window;
  }

  /** The next chunk that may be sent now, or null. `bufferedBytes` is what the socket still holds. */
  take(bufferedBytes, maxBufferedBytes) {
    const next = this.waiting[0];
    if (!next || bufferedBytes > maxBufferedBytes) return null;
    if (next.segment !== this.segment) {
      this.segment = next.segment;
      this.sentThrough = next.index - 1;
      this.ackedThrough = next.index - 1;
    }
    if (this.sentThrough - this.ackedThrough >= this.window) return null;
    this.waiting.shift();
    this.waitingBytes -= next.bytes.byteLength;
    this.sentThrough = next.index;
    return next;
  }

  /** How long the oldest waiting chunk has waited, in ms. */
  lagMs(nowMs) {
    return this.waiting.length ? nowMs - this.waiting[0].tMs : 0;
  }

  /** The connection is gone: a segment that was begun cannot go on; what was not begun may. */
  restart() {
    const begun = this.segment;
    this.cutSegment = Math.max(this.cutSegment, begun);
    this._drop(begun);
    this.segment = -1;
  }

  clear() {
    this.waiting = [];
    this.waitingBytes = 0;
    this.segment = -1;
  }

  /** Throw away this segment and those before it, with what is still to come of them. */
  cut(segment) {
    this.clear();
    this.cutSegment = Math.max(this.cutSegment, segment);
  }

  _drop(segment) {
    this.waiting = this.waiting.filter((chunk) => chunk.segment !== segment);
    this.waitingBytes = this.waiting.reduce((sum, chunk) => sum + chunk.bytes.byteLength, 0);
  }
}

/** What the camera sends, best first; the last sends sound alone. */
export const LADDER = Object.freeze([
  { videoBps: 1_500_000, frameHz: 12 },
  { videoBps: 700_000, frameHz: 8 },
  { videoBps: 300_000, frameHz: 5 },
  { videoBps: 120_000, frameHz: 2 },
  { videoBps: 0, frameHz: 0 },
]);

/** Which rung to stand on: down after a lag, up again after long quiet. Hysteresis, so that it does not flap. */
export class Ladder {
  constructor(lagDownMs = 2_000, calmUpMs = 30_000, restMs = 4_000) {
    Object.assign(this, { lagDownMs, calmUpMs, restMs, rung: 0, changedMs: 0, calmSinceMs: 0 });
  }

  /** Tell the lag; returns the rung. */
  see(lagMs, nowMs) {
    if (lagMs > this.lagDownMs / 4) this.calmSinceMs = nowMs;
    if (nowMs - this.changedMs < this.restMs) return this.rung;
    if (lagMs > this.lagDownMs && this.rung < LADDER.length - 1) this._move(1, nowMs);
    else if (this.rung > 0 && nowMs - this.calmSinceMs > this.calmUpMs) this._move(-1, nowMs);
    return this.rung;
  }

  _move(by, nowMs) {
    this.rung += by;
    this.changedMs = nowMs;
    this.calmSinceMs = nowMs;
  }
}
