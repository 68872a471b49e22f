// @ts-check
// Small things that every part of the page needs.

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * Make an element. @param {string} tag @param {Record<string, any>} [properties] @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Wait, but no longer than until the signal aborts. @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
export const pause = (ms, signal) =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });

export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Tell screen readers, where it is new. @param {string} words */
export function announce(words) {
  const announcer = byId("announcer");
  if (announcer.textContent !== words) announcer.textContent = words;
}

/** The address of an emoji's drawing. @param {string} emoji */
const drawing = (emoji) =>
  `/emoji/${Array.from(emoji, (point) => (point.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")).join("-")}.svg`;

/**
 * Draw an emoji, the same on every machine and without any font; where the drawing cannot be had, its text shows.
 * @param {HTMLImageElement} image @param {string} emoji
 */
export function draw(image, emoji) {
  if (image.alt === emoji) return;
  image.alt = emoji;
  image.src = drawing(emoji);
}

/** A new image of an emoji. @param {string} emoji @param {string} [className] @returns {HTMLImageElement} */
export function picture(emoji, className = "") {
  const image = make("img", { className, draggable: false });
  draw(image, emoji);
  return image;
}

/** @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // the browser may still be saving
}

/** @param {HTMLCanvasElement} canvas @param {number} quality @returns {Promise<Blob | null>} */
export const jpeg = (canvas, quality) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
