// Which words still count. Turns of a dialogue are numbered by epoch; a word of an epoch below
// the newest one known belongs to a turn that was cancelled or overtaken, and is thrown away.

/** Orders turns. Pure: no clock, no page. */
export class Epochs {
  /** @param {number} newest the newest epoch known */
  constructor(newest = 0) {
    this.newest = newest;
    this.discarded = 0;
  }

  /** The epoch for a turn that begins here and overtakes all others. */
  next() {
    this.newest += 1;
    return this.newest;
  }

  /** Learn of an epoch from the server; never goes back. Whether it is newer than what was known. */
  learn(epoch) {
    if (!Number.isSafeInteger(epoch) || epoch <= this.newest) return false;
    this.newest = epoch;
    return true;
  }

  /** Whether words of this epoch may be shown and spoken; counts those that may not. */
  accepts(epoch) {
    if (!Number.isSafeInteger(epoch) || epoch < this.newest) {
      this.discarded += 1;
      return false;
    }
    this.newest = epoch;
    return true;
  }

  /** Whether something already shown or being spoken is still of the newest turn. */
  isCurrent(epoch) {
    return epoch >= this.newest;
  }
}
