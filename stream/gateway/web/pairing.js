// A code with which a phone signs in, as a QR picture and as words.

import { post } from "./api.js";
import { byId, pathsOf, setText } from "./dom.js";
import { tellError } from "./notices.js";

export class Pairing {
  constructor() {
    this.timer = 0;
    byId("pair").addEventListener("click", () => this._make());
  }

  async _make() {
    try {
      this._show(await post("/pairing"));
    } catch (error) {
      tellError(error);
    }
  }

  _show({ url, qr_svg: qr, expires_s: expires }) {
    const picture = pathsOf(qr ?? "");
    picture?.setAttribute("aria-label", "QR code of the address below");
    byId("pair-qr").replaceChildren(...(picture ? [picture] : []));
    setText(byId("pair-url"), url);
    byId("pairing").hidden = false;
    const until = Date.now() + expires * 1000;
    clearInterval(this.timer);
    const tick = () => {
      const left = Math.max(0, Math.round((until - Date.now()) / 1000));
      setText(byId("pair-left"), left ? `Good for ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}, once.` : "This code is over. Make another.");
      if (left) return;
      clearInterval(this.timer);
      byId("pair-qr").replaceChildren();
      setText(byId("pair-url"), "");
    };
    tick();
    this.timer = setInterval(tick, 1000);
  }
}
