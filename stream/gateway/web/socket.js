// The live socket, which comes back by itself: 0.5 s after the first loss, at most 30 s apart.

import { get, signedOut } from "./api.js";

const PROTOCOL = "omnirecall.v1";
const FIRST_MS = 500;
const MOST_MS = 30_000;
const LOST = 1006;
const TRY_LATER = 1013;
const SIGNED_OUT = 4401;

export class LiveSocket {
  /** @param {{message: (told: object) => void, state: (state: "open" | "connecting" | "closed", why: string) => void}} hears */
  constructor(hears) {
    this.hears = hears;
    this.socket = null;
    this.delayMs = FIRST_MS;
    this.timer = 0;
    this.isWanted = false;
  }

  open() {
    this.isWanted = true;
    this._connect();
    // A phone that wakes up, or a network that is back, need not wait for the timer.
    this._again = () => document.visibilityState === "visible" && this._connect();
    addEventListener("online", this._again);
    document.addEventListener("visibilitychange", this._again);
  }

  close() {
    this.isWanted = false;
    clearTimeout(this.timer);
    removeEventListener("online", this._again);
    document.removeEventListener("visibilitychange", this._again);
    this.socket?.close(1000);
    this.socket = null;
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  get bufferedBytes() {
    return this.socket?.bufferedAmount ?? 0;
  }

  /** Send a message; false where the socket is not open. */
  say(told) {
    if (!this.isOpen) return false;
    this.socket.send(JSON.stringify(told));
    return true;
  }

  sendBytes(bytes) {
    if (!this.isOpen) return false;
    this.socket.send(bytes);
    return true;
  }

  _connect() {
    if (!this.isWanted || (this.socket && this.socket.readyState <= WebSocket.OPEN)) return;
    clearTimeout(this.timer);
    this.hears.state("connecting", "");
    const address = new URL("/api/v1/live", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address, PROTOCOL);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    let isGreeted = false;
    socket.onmessage = (event) => {
      if (typeof event.data !== "string") return;
      const told = JSON.parse(event.data);
      // One that is turned away is opened, too, and closed at once: only who is greeted is there.
      if (told.type === "hello") {
        isGreeted = true;
        this.delayMs = FIRST_MS;
        this.hears.state("open", "");
      }
      this.hears.message(told);
    };
    socket.onclose = ({ code, reason }) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.hears.state("closed", code === TRY_LATER ? reason : "");
      if (!this.isWanted) return;
      if (code === SIGNED_OUT) {
        this._signedOut();
        return;
      }
      // A refused connection does not tell why; whether this browser is still known is asked.
      if (code === LOST && !isGreeted) get("/session").catch(({ status }) => status === 401 && this._signedOut());
      this.timer = setTimeout(() => this._connect(), this.delayMs * (0.75 + Math.random() / 2));
      this.delayMs = Math.min(MOST_MS, this.delayMs * 2);
    };
  }

  /** Nobody is signed in here any more: to come back is of no use. */
  _signedOut() {
    this.close();
    signedOut();
  }
}
