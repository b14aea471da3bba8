// A list that is read from its end: it follows what comes, unless its reader has scrolled back.

const NEAR_PX = 80;

export class Following {
  /** @param {HTMLElement} place what scrolls */
  constructor(place) {
    this.place = place;
    this.follows = true;
    // While it is not shown all its heights are 0, and nothing is told of where its reader is.
    place.addEventListener("scroll", () => {
      if (place.clientHeight) this.follows = place.scrollHeight - place.scrollTop - place.clientHeight < NEAR_PX;
    });
  }

  /** Something has come, or it is looked at again. */
  keep() {
    if (this.follows) this.toEnd();
  }

  toEnd() {
    this.follows = true;
    this.place.scrollTop = this.place.scrollHeight;
  }
}
