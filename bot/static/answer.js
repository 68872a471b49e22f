// @ts-check
// The answer beside the picture: the emoji to copy, the seven bars, the cues that were seen, and why this emoji.

import { announce, byId, draw, make, picture } from "./page.js";
import { CUES, WORDS, inWords, percent } from "./words.js";

/** @typedef {import("./server.js").Face} Face @typedef {import("./server.js").Explanation} Explanation */

const EXPRESSIONS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];
const COPIED_MS = 1500;

const view = {
  copy: byId("copy"),
  hint: byId("copy-hint"),
  emoji: byId("emoji"),
  headline: byId("headline"),
  detail: byId("detail"),
  rule: byId("rule"),
  cues: byId("cues"),
  why: byId("why"),
  passed: byId("passed"),
};

/** The faces that were explained last. @type {Face[]} */
let explained = [];
/** What the lists show now: they are made anew only when that changes. */
const listed = { cues: "?", why: /** @type {Explanation | undefined} */ (undefined) };

/** Words instead of a reading. @param {string} emoji @param {string} headline @param {string} [detail] */
export function showMessage(emoji, headline, detail = "") {
  view.copy.disabled = true;
  view.copy.removeAttribute("aria-label");
  draw(view.emoji, emoji);
  write(view.headline, headline);
  write(view.detail, detail);
  write(view.rule, "");
  showBars({});
  view.cues.replaceChildren();
  listed.cues = "?";
  view.why.hidden = true;
}

/** Live, a face has no explanation when that of the last face at its place still holds. @param {Face[]} faces */
export function explainAgain(faces) {
  for (const [index, face] of faces.entries()) face.explanation ??= explained[index]?.explanation;
  explained = faces;
}

/** @param {Face} face @param {string} [more] */
export function showFace(face, more = "") {
  view.copy.disabled = false;
  view.copy.setAttribute("aria-label", `Copy ${face.emoji_name}`);
  draw(view.emoji, face.emoji);
  write(view.headline, face.expression);
  write(view.detail, `${percent(face.confidence)} sure${more}`);
  write(view.rule, `Why: ${face.rule}.`);
  showBars(face.scores);
  showCues(face.cues, face.explanation?.speaks ?? {});
  showWhy(face);
}

/** Text that has not changed is left alone. @param {HTMLElement} element @param {string} words */
function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** @param {Record<string, number>} scores */
function showBars(scores) {
  const top = Math.max(...Object.values(scores));
  for (const name of EXPRESSIONS) {
    const bar = byId(`bar-${name}`);
    bar.classList.toggle("top", scores[name] === top);
    bar.querySelector(".bar-fill").style.width = `${(scores[name] ?? 0) * 100}%`;
    write(bar.querySelector(".bar-value"), name in scores ? percent(scores[name]) : "–");
  }
}

/** @param {Record<string, number>} cues @param {Record<string, string[]>} speaks */
function showCues(cues, speaks) {
  const names = Object.keys(cues);
  const now = names.join();
  if (listed.cues === now) return;
  listed.cues = now;
  const words = names.map((cue) => {
    const gains = speaks[cue] ? `, which speaks for ${speaks[cue].join(" or ")}` : "";
    return make("li", { title: `${CUES[cue] ?? cue}${gains}` }, CUES[cue] ?? cue);
  });
  view.cues.replaceChildren(...(words.length ? words : [make("li", { className: "none" }, WORDS.noCues)]));
}

/** The rules that were held against the face before the one that chose. @param {Face} face */
function showWhy({ rule, emoji, explanation }) {
  view.why.hidden = !explanation;
  if (!explanation || listed.why === explanation) return;
  listed.why = explanation;
  const passed = explanation.passed.map(([other, why, objection]) =>
    make("li", {}, picture(other), make("span", {}, `${why}: `, make("em", {}, inWords(objection)))),
  );
  view.passed.replaceChildren(...passed, make("li", { className: "chosen" }, picture(emoji), make("span", {}, `${rule}: chosen`)));
  for (const image of view.passed.querySelectorAll("img")) image.setAttribute("aria-hidden", "true");
}

/** Put the emoji on the clipboard, and say so. */
async function copy() {
  const emoji = view.emoji.alt;
  const done = await navigator.clipboard?.writeText(emoji).then(
    () => true,
    () => false,
  );
  const copied = done || copyByHand(emoji);
  view.hint.textContent = copied ? WORDS.copied : "Not copied";
  view.copy.classList.toggle("copied", copied);
  announce("");
  announce(copied ? WORDS.copied : WORDS.notCopied);
  setTimeout(() => {
    view.hint.textContent = "Copy";
    view.copy.classList.remove("copied");
  }, COPIED_MS);
}

/** The old way, for pages without https. @param {string} text */
function copyByHand(text) {
  const field = make("textarea", { value: text, className: "unseen" });
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  view.copy.focus();
  return copied;
}

export function buildAnswer() {
  for (const name of EXPRESSIONS) {
    const track = make("span", { className: "bar-track" }, make("span", { className: "bar-fill" }));
    const value = make("span", { className: "bar-value" });
    byId("bars").append(
      make("li", { id: `bar-${name}`, className: "bar" }, make("span", { className: "bar-name" }, name), track, value),
    );
  }
  view.copy.addEventListener("click", copy);
  showMessage("🙂", WORDS.welcome, WORDS.welcomeHelp);
}
