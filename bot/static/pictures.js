// @ts-check
// The pictures of this visit, one card each, in the order in which they came. They are kept in this tab and nowhere else.

import { drawRiders } from "./faces.js";
import { byId, draw, jpeg, make, picture, save } from "./page.js";
import { Problem, mask, read, words } from "./server.js";
import { WORDS } from "./words.js";

/** @typedef {import("./server.js").Reading} Reading */

const AT_ONCE = 2; // pictures that are sent at the same time
const QUALITY = 0.9;
const MOST_FACES = 12; // that a card shows each; of more, every emoji once
const MOST_NAMES = 6;
/** EXIF with an orientation (tag 0x0112) that is not upright, in either byte order. */
const TURNED = /EXIF.*(\x12\x01\x03\0\x01\0\0\0|\x01\x12\0\x03\0\0\0\x01\0)[\x02-\x08]/s;

/** One picture and what became of it. */
export class Picture {
  /** @param {Blob} photo @param {string} name @param {Reading | null} reading */
  constructor(photo, name, reading = null) {
    this.photo = photo;
    this.name = name;
    this.reading = reading;
    /** What is said while, or instead of, a reading. */
    this.words = reading ? "" : WORDS.waiting;
    this.failed = false;
    /** It failed, but another time it may not. */
    this.mayRetry = false;
    /** Whether this browser draws the photo as the server reads it. */
    this.drawn = true;
    this.covered = false;
    /** @type {Blob | null} */
    this.masked = null;
    /** Why its faces are not covered, where that was asked for. */
    this.trouble = "";
    /** While its faces are being covered. @type {Promise<void> | null} */
    this.covering = null;
    this.addresses = new Map();
    this.onRetry = () => {};
    this.onTrouble = () => {};
    this.card = new Card(this);
  }

  /** The picture as it is to be seen: with its faces covered, or as it came. */
  get shown() {
    return this.covered && this.masked ? this.masked : this.photo;
  }

  /** An address of what is shown, for an <img>. */
  get address() {
    if (!this.addresses.has(this.shown)) this.addresses.set(this.shown, URL.createObjectURL(this.shown));
    return this.addresses.get(this.shown);
  }

  /** What is to be known of it beside its answer. */
  get note() {
    if (this.covered) return WORDS.covered;
    return this.trouble || (this.reading && !this.drawn ? WORDS.notDrawn : "");
  }

  /** Whether there is something to download. */
  get ready() {
    return this.reading !== null && (this.covered || this.drawn);
  }

  /** Put what is shown into an image. @param {HTMLImageElement} image @returns {Promise<boolean>} whether it is as the server sees it */
  async drawIn(image) {
    const { covered, photo } = this;
    image.src = this.address;
    try {
      await image.decode();
      return covered || !(await isTurned(photo));
    } catch {
      return false; // a kind that this browser does not know
    }
  }

  forget() {
    for (const address of this.addresses.values()) URL.revokeObjectURL(address);
    this.card.root.remove();
  }

  /** Cover the faces, or show them again. @param {boolean} covered @param {AbortSignal} signal */
  async cover(covered, signal) {
    const work = this.change(covered, signal);
    this.covering = work;
    try {
      await work;
    } finally {
      if (this.covering === work) this.covering = null;
    }
  }

  /** @param {boolean} covered @param {AbortSignal} signal */
  async change(covered, signal) {
    if (covered) this.masked ??= await mask(this.photo, signal);
    this.covered = covered && this.masked !== null;
    this.trouble = covered && !this.masked ? WORDS.nothingCovered : "";
    this.card.refresh();
  }

  /** Save the picture with its emoji, on the heads or over the faces. */
  async download() {
    try {
      await this.covering;
    } catch {
      return; // who asked for covered faces gets no picture without; why it failed is said on the page
    }
    const stem = this.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}_-]+/gu, "-") || "photo";
    const name = `${stem}.${this.covered ? "covered" : "face2emoji"}.jpg`; // in a folder, nobody can mistake them
    const blob = this.covered ? this.masked : await this.withEmoji();
    if (blob) {
      save(blob, name);
    } else {
      this.trouble = WORDS.notDrawn; // too large for a canvas of this browser
      this.onTrouble();
    }
  }

  async withEmoji() {
    const image = make("img");
    if (!this.reading || !(await this.drawIn(image))) return null;
    const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
    canvas.getContext("2d").drawImage(image, 0, 0);
    await drawRiders(canvas, this.reading.faces);
    return jpeg(canvas, QUALITY);
  }
}

/** Whether the server turns a photo that browsers show as it lies: a WebP, for what its EXIF says. @param {Blob} photo */
async function isTurned(photo) {
  if ((await photo.slice(8, 12).text()) !== "WEBP") return false;
  return TURNED.test(new TextDecoder("latin1").decode(await photo.arrayBuffer()));
}

/** A picture in the list. */
class Card {
  /** @param {Picture} of */
  constructor(of) {
    this.of = of;
    this.thumbnail = make("img", { className: "thumbnail", alt: "" });
    this.thumbnail.addEventListener("error", () => (this.thumbnail.hidden = true)); // a kind that browsers do not show
    this.emoji = picture("⏳", "card-emoji");
    this.emoji.setAttribute("aria-hidden", "true");
    this.title = make("span", { className: "card-name" }, of.name);
    this.text = make("span", { className: "card-words" });
    this.faces = make("span", { className: "card-faces" });
    const picture_ = make("span", { className: "card-picture" }, this.thumbnail, this.emoji);
    this.button = make("button", { type: "button" }, picture_, this.title, this.faces, this.text);
    this.save = make("button", { type: "button", className: "card-save" }, "Download");
    this.save.append(make("span", { className: "unseen" }, ` ${of.name}`));
    this.save.addEventListener("click", () => of.download());
    this.again = make("button", { type: "button", className: "card-save" }, WORDS.again);
    this.again.append(make("span", { className: "unseen" }, ` ${of.name}`));
    this.again.addEventListener("click", () => of.onRetry());
    this.root = make("li", { className: "card" }, this.button, this.save, this.again);
  }

  refresh() {
    const { address, reading, words, failed, covered, drawn } = this.of;
    if (this.thumbnail.src !== address) Object.assign(this.thumbnail, { src: address, hidden: false });
    if (!covered && !drawn) this.thumbnail.hidden = true;
    draw(this.emoji, failed ? "🙈" : reading ? reading.emoji ?? "🤷" : "⏳");
    this.root.classList.toggle("failed", failed);
    this.save.hidden = failed;
    this.again.hidden = !this.of.mayRetry;
    this.save.disabled = !this.of.ready;
    this.text.textContent = reading ? describe(reading) : words;
    this.faces.replaceChildren();
    if (!reading || reading.faces.length < 2) return;
    const different = new Set(reading.faces.map((face) => face.emoji));
    const shown = reading.faces.length > MOST_FACES ? [...different].slice(0, MOST_FACES) : reading.faces.map((face) => face.emoji);
    for (const emoji of shown) this.faces.append(picture(emoji));
    this.faces.setAttribute("aria-hidden", "true");
  }
}

/** The picture's answer, and one of each face, in words. @param {Reading} reading */
function describe({ faces, emoji }) {
  if (!faces.length) return WORDS.noFace;
  const main = faces.find((face) => face.emoji === emoji) ?? faces[0];
  if (faces.length === 1) return main.emoji_name;
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { emoji_name: name } of faces) counts.set(name, (counts.get(name) ?? 0) + 1);
  const common = [...counts].sort(([, a], [, b]) => b - a);
  const named = common.slice(0, MOST_NAMES).map(([name, count]) => (count > 1 ? `${count} × ${name}` : name));
  return `${faces.length} faces: ${named.join(", ")}${common.length > MOST_NAMES ? " and others" : ""}`;
}

export class Pictures {
  /** @param {(picture: Picture) => void} onChoose @param {(picture: Picture) => void} onChange @param {() => void} onClear */
  constructor(onChoose, onChange, onClear) {
    this.onChoose = onChoose;
    this.onChange = onChange;
    this.onClear = onClear;
    /** @type {Picture[]} */
    this.all = [];
    /** @type {Picture[]} */
    this.waiting = [];
    this.reading = 0;
    this.visit = new AbortController();
    byId("clear").addEventListener("click", () => this.clear());
  }

  /** Read these files, in order. @param {Iterable<File>} files @returns {Picture[]} */
  read(files) {
    const pictures = Array.from(files, (file) => new Picture(file, file.name || "Photo"));
    for (const each of pictures) this.add(each);
    this.waiting.push(...pictures);
    while (this.reading < AT_ONCE && this.waiting.length) this.work();
    return pictures;
  }

  /** @param {Picture} picture */
  add(picture) {
    this.all.push(picture);
    picture.card.button.addEventListener("click", () => this.onChoose(picture));
    picture.onRetry = () => this.retry(picture);
    picture.onTrouble = () => this.onChoose(picture);
    picture.card.refresh();
    byId("cards").append(picture.card.root);
    byId("pictures").hidden = false;
  }

  /** Which one is on show. @param {Picture | null} chosen */
  mark(chosen) {
    for (const each of this.all) each.card.button.setAttribute("aria-current", String(each === chosen));
  }

  /** @param {Picture} picture */
  retry(picture) {
    picture.failed = picture.mayRetry = false;
    picture.words = WORDS.waiting;
    picture.card.refresh();
    picture.card.button.focus(); // the button that was pressed is gone
    this.onChoose(picture);
    this.waiting.push(picture);
    if (this.reading < AT_ONCE) this.work();
  }

  async work() {
    this.reading++;
    for (let next; (next = this.waiting.shift()); ) await this.readOne(next);
    this.reading--;
  }

  /** @param {Picture} picture */
  async readOne(picture) {
    const { signal } = this.visit;
    /** @param {string} words */
    const say = (words) => {
      picture.words = words;
      picture.card.refresh();
      this.onChange(picture);
    };
    say(WORDS.reading);
    try {
      [picture.drawn, picture.reading] = await Promise.all([picture.drawIn(make("img")), read(picture.photo, say, signal)]);
      say("");
    } catch (error) {
      if (signal.aborted) return;
      picture.failed = true;
      picture.mayRetry = error instanceof Problem && error.wait > 0;
      say(words(error));
    }
  }

  clear() {
    this.visit.abort();
    this.visit = new AbortController();
    this.waiting = [];
    for (const each of this.all) each.forget();
    this.all = [];
    byId("pictures").hidden = true;
    this.onClear();
  }
}
