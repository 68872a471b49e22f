// @ts-check
// Over a picture or a video: one button a face, and its emoji, which rides on the head or covers the face.

import { calm, draw, make, picture } from "./page.js";
import { percent } from "./words.js";

/** @typedef {import("./server.js").Face} Face */
/** @typedef {{x: number, y: number, width: number, height: number, roll: number}} Place in shares of the picture; roll in degrees */

const SETTLE_MS = 70; // in which an emoji goes about two thirds of its way to where the face is now
const LINGER_MS = 300; // for which the emoji of a face that was lost stays
const NEAR = 1; // a face is the one before if it moved by less than this many of its widths

// The same as in inference/mask.py: a disc from chin to hairline.
const HALF_HEIGHT = 0.39;
const RADIUS = 1.5;
const RAISE = 0.12;
const DISC_SHARE = 22.5 / 72;
const RIDE_SIZE = 1; // side of an emoji that rides, in widths of the face

/** Where an emoji belongs, in pixels of a picture. @param {Face["box"]} box @param {number} roll @param {boolean} covering */
export function seat([left, top, right, bottom], roll, covering) {
  const [width, height] = [right - left, bottom - top];
  const turn = (roll * Math.PI) / 180;
  const half = Math.max(HALF_HEIGHT * Math.hypot(width, height), width / 2, height / 2);
  const side = covering ? (RADIUS * half) / DISC_SHARE : Math.max(RIDE_SIZE * width, 12);
  const up = covering ? RAISE * half : half + side * 0.25;
  return { x: (left + right) / 2 + up * Math.sin(turn), y: (top + bottom) / 2 - up * Math.cos(turn), side };
}

/** One face on the screen. */
class Rider {
  /** @param {(rider: Rider) => void} onChoose */
  constructor(onChoose) {
    this.image = picture("");
    this.emoji = make("span", { className: "rider" }, this.image);
    this.emoji.setAttribute("aria-hidden", "true");
    this.button = make("button", { type: "button", className: "face" });
    this.button.addEventListener("click", () => onChoose(this));
    /** @type {Face | null} */
    this.face = null;
    this.seenAt = 0;
    /** @type {Place | null} */
    this.place = null;
    /** @type {Place} */
    this.target = { x: 0, y: 0, width: 0, height: 0, roll: 0 };
  }

  /** @param {number} share of the way to the target @returns {boolean} whether it moved by what can be seen */
  move(share) {
    const { place, target } = this;
    if (!place || share >= 1) {
      this.place = { ...target };
      return true;
    }
    const turn = ((target.roll - place.roll + 540) % 360) - 180; // the short way round
    let far = Math.abs(turn) / 180;
    for (const key of /** @type {(keyof Place)[]} */ (["x", "y", "width", "height"])) {
      far = Math.max(far, Math.abs(target[key] - place[key]));
      place[key] += (target[key] - place[key]) * share;
    }
    place.roll += turn * share;
    return far > 1e-3;
  }

  remove() {
    this.button.remove();
    this.emoji.remove();
  }
}

export class Faces {
  /** @param {HTMLElement} root @param {(index: number) => void} onChoose */
  constructor(root, onChoose) {
    this.root = root;
    this.onChoose = onChoose;
    /** @type {Rider[]} */
    this.riders = [];
    /** @type {Rider[]} in the order of the reading */
    this.current = [];
    this.width = 1;
    this.height = 1;
    this.covering = false;
    this.live = false;
    this.turning = 0;
    this.then = 0;
  }

  /**
   * Show these faces; live, they glide to where they are now.
   * @param {Face[]} faces @param {number} width @param {number} height @param {number} selected @param {boolean} live
   */
  show(faces, width, height, selected, live) {
    const now = performance.now();
    [this.width, this.height, this.live] = [width, height, live];
    const free = [...this.riders];
    this.current = faces.map((face) => {
      const rider = this.claim(face, free) ?? this.add();
      rider.face = face;
      rider.seenAt = now;
      const [left, top, right, bottom] = face.box;
      rider.target = {
        x: (left + right) / 2 / width,
        y: (top + bottom) / 2 / height,
        width: (right - left) / width,
        height: (bottom - top) / height,
        roll: face.roll,
      };
      return rider;
    });
    for (const rider of free) if (!live || now - rider.seenAt > LINGER_MS) this.drop(rider);
    this.current.forEach((rider, index) => this.label(rider, index, index === selected));
    if (live && !calm.matches) this.turn();
    else this.settle();
  }

  clear() {
    this.show([], 1, 1, -1, false);
  }

  /** Ride on the heads, or cover the faces. @param {boolean} covering */
  cover(covering) {
    this.covering = covering;
    this.root.classList.toggle("covering", covering);
    this.paint();
  }

  /** The known face nearest to this one, taken out of those that are free. @param {Face} face @param {Rider[]} free */
  claim({ box: [left, top, right, bottom] }, free) {
    const [x, y] = [(left + right) / 2 / this.width, (top + bottom) / 2 / this.height];
    /** @param {Rider} rider */
    const distance = ({ target }) => Math.hypot((target.x - x) * this.width, (target.y - y) * this.height);
    const nearest = free.reduce((a, b) => (a && distance(a) <= distance(b) ? a : b), /** @type {any} */ (null));
    if (!nearest || distance(nearest) > NEAR * (right - left)) return null;
    free.splice(free.indexOf(nearest), 1);
    return nearest;
  }

  add() {
    const rider = new Rider((chosen) => this.onChoose(this.current.indexOf(chosen)));
    this.riders.push(rider);
    return rider;
  }

  /** @param {Rider} rider */
  drop(rider) {
    rider.remove();
    this.riders.splice(this.riders.indexOf(rider), 1);
  }

  /** Buttons stay where they are in the page as long as their order stands, so that keyboard focus stays too. */
  /** @param {Rider} rider @param {number} index @param {boolean} selected */
  label(rider, index, selected) {
    const face = /** @type {Face} */ (rider.face);
    draw(rider.image, face.emoji);
    const words = `${face.emoji_name}, ${face.expression}, ${percent(face.confidence)} sure`;
    rider.button.setAttribute("aria-label", `Face ${index + 1} of ${this.current.length}: ${words}`);
    rider.button.setAttribute("aria-pressed", String(selected));
    if (this.root.children[index] !== rider.button) {
      const focused = document.activeElement === rider.button;
      this.root.insertBefore(rider.button, this.root.children[index] ?? null);
      if (focused) rider.button.focus();
    }
    if (!rider.emoji.isConnected) this.root.append(rider.emoji);
  }

  /** At once, without gliding. */
  settle() {
    for (const rider of this.riders) rider.move(1);
    this.paint();
  }

  /** Keep gliding, a picture at a time, while it is live. */
  turn() {
    if (this.turning) return;
    this.then = performance.now();
    const step = (/** @type {number} */ now) => {
      this.turning = this.live && this.riders.length ? requestAnimationFrame(step) : 0;
      const share = 1 - Math.exp(-Math.max(0, now - this.then) / SETTLE_MS);
      this.then = now;
      const moved = this.riders.map((rider) => rider.move(share));
      if (moved.includes(true)) this.paint();
    };
    this.turning = requestAnimationFrame(step);
  }

  paint() {
    for (const { button, emoji, place } of this.riders) {
      if (!place) continue;
      const box = this.box(place);
      const { x, y, side } = seat(box, place.roll, this.covering);
      const [left, top, right, bottom] = box;
      put(button, left / this.width, top / this.height, (right - left) / this.width, (bottom - top) / this.height);
      put(emoji, (x - side / 2) / this.width, (y - side / 2) / this.height, side / this.width, side / this.height);
      emoji.style.rotate = `${place.roll.toFixed(1)}deg`;
    }
  }

  /** @param {Place} place @returns {Face["box"]} in pixels of the picture */
  box({ x, y, width, height }) {
    const [w, h] = [this.width, this.height];
    return [(x - width / 2) * w, (y - height / 2) * h, (x + width / 2) * w, (y + height / 2) * h];
  }
}

/** @param {HTMLElement} element @param {number} left @param {number} top @param {number} width @param {number} height */
function put({ style }, left, top, width, height) {
  style.left = `${(left * 100).toFixed(2)}%`;
  style.top = `${(top * 100).toFixed(2)}%`;
  style.width = `${(width * 100).toFixed(2)}%`;
  style.height = `${(height * 100).toFixed(2)}%`;
}

/** Draw the emoji of these faces on a picture of theirs. @param {HTMLCanvasElement} canvas @param {Face[]} faces */
export async function drawRiders(canvas, faces) {
  const context = canvas.getContext("2d");
  for (const { box, roll, emoji } of faces) {
    const image = picture(emoji);
    await image.decode().catch(() => null); // without its drawing, one emoji is missing and the picture is still a picture
    if (!context || !image.naturalWidth) continue;
    const { x, y, side } = seat(box, roll, false);
    context.save();
    context.translate(x, y);
    context.rotate((roll * Math.PI) / 180);
    context.drawImage(image, -side / 2, -side / 2, side, side);
    context.restore();
  }
}
