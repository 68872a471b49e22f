// @ts-check
// The page: pictures or the camera in, emoji and why out. Everything stays in this tab.

import { buildAnswer, explainAgain, showFace, showMessage } from "./answer.js";
import { encode } from "./camera.js";
import { Faces } from "./faces.js";
import { Live } from "./live.js";
import { announce, byId, draw, picture } from "./page.js";
import { Picture, Pictures } from "./pictures.js";
import { words } from "./server.js";
import { WORDS, percent } from "./words.js";

/** @typedef {import("./server.js").Reading} Reading */

const ANNOUNCE_MS = 2000; // live must not flood a screen reader
const NOTICE_MS = 4000; // for which words stay that the next answer would wipe away
const SNAPSHOT_QUALITY = 0.92;
const STRIP = 12; // emoji that the strip keeps
const OURS = ["⏳", "👀", "🔍", "🙈", "🤷"]; // what the page itself shows, beside answers and the invitation

const view = {
  frame: byId("frame"),
  photo: byId("photo"),
  video: byId("video"),
  placeholder: byId("placeholder"),
  notice: byId("notice"),
  live: byId("live"),
  cover: byId("cover"),
  download: byId("download"),
  snapshot: byId("snapshot"),
  note: byId("note"),
  strip: byId("strip"),
};

/** The picture on show; null: the invitation, or live. @type {Picture | null} */
let selected = null;
/** The reading on show. @type {Reading | null} */
let shown = null;
/** Which of its faces the answer belongs to; null follows the main face. @type {number | null} */
let chosen = null;
/** What was said of the camera last, and when. */
const said = { emoji: "", at: -Infinity, until: 0 };
let snapshots = 0;

const faces = new Faces(byId("faces"), (index) => {
  chosen = index;
  if (shown) announce(showReading(shown));
});
const pictures = new Pictures(select, (changed) => changed === selected && showSelected(), () => {
  if (!live.on) leave();
  byId(live.on ? "snapshot" : "choose").focus(); // the button that was pressed is gone
  announce(WORDS.cleared);
  said.at = performance.now();
});
const live = new Live(view.video, {
  opened: (mirrored) => {
    view.frame.classList.toggle("mirrored", mirrored);
    showStage(view.video);
  },
  sized: setSize,
  answered: showLive,
  noticed: (notice) => {
    if (notice && !live.paused) {
      faces.clear(); // where they are now, nobody knows
      if (live.on && !shown?.faces.length) showMessage("👀", WORDS.looking);
    }
    if (notice || performance.now() > said.until) notify(notice);
  },
  ended: (why) => {
    leave();
    showMessage("🙈", WORDS.failed, why);
    announce(`${WORDS.failed}. ${why}`);
  },
});

/** Words over the video; empty: none. @param {string} words */
function notify(words) {
  view.notice.textContent = words;
  view.notice.hidden = !words;
  if (words) announce(words);
}

// ---- what is on the stage ----

/** The upright size of what is shown; boxes and layout follow it. @param {number} width @param {number} height */
function setSize(width, height) {
  view.frame.style.setProperty("--w", String(width));
  view.frame.style.setProperty("--h", String(height));
}

/** Show the photo, the video or the placeholder; null: the invitation. @param {HTMLElement | null} what */
function showStage(what) {
  byId("invitation").hidden = what !== null;
  view.frame.hidden = what === null;
  for (const each of [view.photo, view.video, view.placeholder]) each.hidden = each !== what;
}

/** Set the buttons for pictures, or for live. */
function showControls() {
  document.body.classList.toggle("live", live.on);
  view.live.textContent = live.on ? WORDS.stopLive : WORDS.goLive;
  view.snapshot.hidden = byId("live-bar").hidden = byId("lately").hidden = !live.on;
  view.download.hidden = live.on;
  view.note.hidden = !selected;
  view.note.textContent = selected?.note ?? "";
  view.cover.disabled = !live.on && !selected?.reading;
  view.download.disabled = !selected?.ready;
  view.snapshot.disabled = !shown;
  view.cover.setAttribute("aria-pressed", String(live.on ? faces.covering : (selected?.covered ?? false)));
  view.frame.classList.toggle("covered", !live.on && (selected?.covered ?? false));
  view.frame.classList.toggle("reading", selected?.words === WORDS.reading);
}

/** @param {Reading} reading @returns {string} what is shown, in words */
function showReading(reading) {
  shown = reading;
  explainAgain(reading.faces);
  const { width, height } = reading;
  const all = reading.faces;
  const index = chosen !== null && chosen < all.length ? chosen : mainFace(reading);
  faces.show(all, width, height, index, live.on);
  if (!all.length) {
    showMessage("🔍", WORDS.noFace, live.on ? WORDS.noFaceLive : WORDS.noFaceHelp);
    return WORDS.noFace;
  }
  const several = all.length > 1 ? `, face ${index + 1} of ${all.length}` : "";
  showFace(all[index], several);
  return `${all[index].emoji_name}: ${all[index].expression}, ${byId("detail").textContent}`;
}

/** The face that gave the picture its emoji; of several, the biggest and surest. @param {Reading} reading */
function mainFace({ faces, emoji }) {
  /** @param {number} index */
  const weight = (index) => {
    const { box, confidence, emoji: own } = faces[index];
    return (own === emoji ? 1e12 : 0) + (box[2] - box[0]) * (box[3] - box[1]) * confidence;
  };
  return [...faces.keys()].reduce((a, b) => (weight(b) > weight(a) ? b : a), 0);
}

/** Nothing on show: the invitation. */
function leave() {
  if (live.on) live.stop();
  selected = shown = chosen = null;
  faces.cover(false);
  faces.clear();
  view.frame.classList.remove("mirrored");
  pictures.mark(null);
  showStage(null);
  showMessage("🙂", WORDS.welcome, WORDS.welcomeHelp);
  showControls();
}

// ---- pictures ----

/** Read these, and show the first; without any, say so. @param {Iterable<File> | null | undefined} files */
function usePictures(files) {
  const [first] = pictures.read(files ?? []);
  if (first) {
    select(first);
  } else if (view.frame.hidden) {
    if (!selected) byId("detail").textContent = WORDS.notPhotos;
    announce(WORDS.notPhotos);
  } else {
    said.until = performance.now() + NOTICE_MS;
    notify(WORDS.notPhotos);
    setTimeout(() => view.notice.textContent === WORDS.notPhotos && notify(""), NOTICE_MS);
  }
}

/** @param {Picture} picture */
async function select(picture) {
  leave();
  selected = picture;
  pictures.mark(picture);
  announce(""); // who chooses hears the answer, also where it is the same as before
  showSelected();
  await preview(picture);
}

/** Show the picture itself; where the browser cannot draw it, a neutral ground. @param {Picture} picture */
async function preview(picture) {
  const address = picture.address;
  const drawn = await picture.drawIn(view.photo);
  if (picture !== selected || picture.address !== address) return;
  if (drawn) setSize(view.photo.naturalWidth, view.photo.naturalHeight);
  else if (picture.reading) setSize(picture.reading.width, picture.reading.height);
  else setSize(4, 3);
  showStage(drawn ? view.photo : picture.failed ? null : view.placeholder);
}

/** What is known of the selected picture. */
function showSelected() {
  if (!selected) return;
  const { name, reading, note, words, failed } = selected;
  if (reading) {
    if (!view.placeholder.hidden) setSize(reading.width, reading.height);
    announce(`${name}: ${showReading(reading)}${note && `. ${note}`}`);
  } else {
    const headline = failed ? WORDS.failed : WORDS.reading;
    const detail = words === headline ? "" : words;
    showMessage(failed ? "🙈" : "⏳", headline, detail);
    announce(`${name}: ${headline}${detail && `. ${detail}`}`);
    if (failed && !view.placeholder.hidden) showStage(null);
  }
  showControls();
}

/** Cover the faces, or show them again: live on the screen, in a picture for good. */
async function toggleCover() {
  const covering = view.cover.getAttribute("aria-pressed") === "false";
  if (live.on) {
    faces.cover(covering);
    showControls();
    return;
  }
  const picture = selected;
  if (!picture || view.frame.classList.contains("reading")) return;
  const { signal } = pictures.visit;
  view.frame.classList.add("reading");
  if (covering) announce(WORDS.covering);
  try {
    await picture.cover(covering, signal);
    if (picture === selected) await preview(picture);
  } catch (error) {
    if (!signal.aborted) picture.trouble = `${WORDS.notCovered} ${words(error)}`;
  } finally {
    if (picture === selected) showControls();
  }
  if (picture === selected) announce(covering ? picture.note : WORDS.uncovered);
}

// ---- live ----

function goLive() {
  leave();
  said.emoji = "";
  view.strip.replaceChildren();
  showMessage("👀", WORDS.looking);
  announce(WORDS.looking);
  live.start();
  showControls();
}

/** @param {Reading} reading */
function showLive(reading) {
  const first = !shown;
  showReading(reading);
  if (first) showControls();
  const main = reading.faces[mainFace(reading)];
  if (main) remember(main.emoji, main.emoji_name);
  const words = main ? `${main.emoji_name}: ${main.expression}` : WORDS.noFace;
  const now = performance.now();
  if ((main?.emoji ?? "none") === said.emoji || now - said.at < ANNOUNCE_MS) return;
  said.emoji = main?.emoji ?? "none";
  said.at = now;
  announce(words);
}

/** @param {string} emoji @param {string} name */
function remember(emoji, name) {
  const last = view.strip.lastElementChild?.firstElementChild;
  if (last?.dataset.emoji === emoji) return;
  const item = document.createElement("li");
  const image = picture(emoji);
  image.dataset.emoji = emoji;
  image.title = name;
  item.append(image);
  view.strip.append(item);
  while (view.strip.children.length > STRIP) view.strip.firstElementChild.remove();
}

/** Keep what was answered last, as a picture with its emoji. */
async function keepSnapshot() {
  const [reading, frame] = [shown, live.answered];
  if (!reading || !frame) return;
  const { width, height } = frame;
  const enlarged = reading.faces.map((face) => {
    const box = /** @type {typeof face.box} */ (face.box.map((side) => Math.round((side * width) / reading.width)));
    return { ...face, box };
  });
  const covered = faces.covering;
  const photo = await encode(frame, SNAPSHOT_QUALITY);
  if (!photo) return;
  const kept = new Picture(photo, `Snapshot ${++snapshots}`, { ...reading, width, height, faces: enlarged });
  try {
    // Before anybody sees it: who covers faces wants no picture without.
    if (covered) await kept.cover(true, pictures.visit.signal);
    pictures.add(kept);
    said.at = performance.now(); // the next emoji waits until this is said
    announce(`${kept.name} ${WORDS.kept}`);
  } catch (error) {
    said.until = performance.now() + NOTICE_MS;
    notify(words(error));
  }
}

// ---- wiring ----

/** @param {DragEvent} event */
function dragOver(event) {
  event.preventDefault();
  document.body.classList.add("dragging");
}

function start() {
  buildAnswer();
  for (const image of document.querySelectorAll("img[data-emoji]")) {
    if (image instanceof HTMLImageElement) draw(image, image.dataset.emoji ?? "");
  }
  OURS.forEach((emoji) => picture(emoji)); // fetched now: when the server is gone, it is too late
  const file = byId("file");
  byId("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    usePictures([...file.files]);
    file.value = ""; // the same file may be chosen again
  });
  view.live.addEventListener("click", () => (live.on ? leave() : goLive()));
  view.cover.addEventListener("click", toggleCover);
  view.download.addEventListener("click", () => selected?.download());
  view.snapshot.addEventListener("click", keepSnapshot);
  document.addEventListener("paste", (event) => usePictures(event.clipboardData?.files));
  document.addEventListener("dragover", dragOver);
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    usePictures(event.dataTransfer?.files);
  });
  showControls();
}

start();
