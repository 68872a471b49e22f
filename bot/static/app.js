// @ts-check
// The page: a photo or the camera in, boxes, bars and an emoji out. Everything stays in this tab.

/**
 * @typedef {{box: [number, number, number, number], expression: string, confidence: number,
 *   scores: Record<string, number>, cues: Record<string, number>, emoji: string, emoji_name: string,
 *   rule: string}} Face
 * @typedef {{width: number, height: number, faces: Face[], emoji: string | null}} Reading
 */

const EXPRESSIONS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];
const FRAME_SIDE = 640; // longest side of a camera frame that is sent
const FRAME_PAUSE_MS = 40; // at most 25 frames a second: below the server's rate limit, above what eyes follow
const PATIENCE = 5; // how often a photo is sent again while the server is busy or starting
const ANNOUNCE_MS = 3000; // a live camera must not flood a screen reader

const WORDS = {
  reading: "Reading the photo",
  looking: "Looking for a face",
  noFace: "No face found",
  noFaceHelp: "Try a photo where a face is well lit and not too small.",
  noFaceLive: "Come a little closer, or turn towards the light.",
  failed: "That did not work",
  offline: "You seem to be offline. Check your connection and try again.",
  unreachable: "The server does not answer. Is it still running?",
  unknown: "The server gave an answer this page does not understand. Reload the page and try again.",
  refused: "The camera was refused. Allow it in your browser's address bar, then try again, or choose a photo.",
  noCamera: "No camera was found. Plug one in, or choose a photo.",
  cameraBusy: "Another program is using the camera. Close it, then try again.",
  cameraUnknown: "This browser did not open the camera. Try another browser, or choose a photo.",
  insecure: "Browsers open the camera only on https:// pages or on localhost.",
  cameraEnded: "The camera gives no picture. Is it covered or switched off?",
  openCamera: "Use camera",
  stopCamera: "Stop camera",
  welcome: "Which emoji are you?",
  covering: "Covering the faces",
  covered: "Every face that was found is covered. Look closely before you share the picture.",
  uncovered: "The faces are shown again.",
};

/** A failure with a sentence for people; `wait` is in seconds when trying again helps. */
class Problem extends Error {
  /** @param {string} message @param {number} [wait] */
  constructor(message, wait = 0) {
    super(message);
    this.wait = wait;
  }
}

// ---- small helpers ----

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** Never 100%: nobody is that sure. @param {number} share */
const percent = (share) => `${Math.min(99, Math.round(share * 100))}%`;

/** Wait, but no longer than until the signal aborts. @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
const pause = (ms, signal) =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });

/** Wait while the tab cannot be seen. @param {AbortSignal} signal */
async function visible(signal) {
  while (document.hidden && !signal.aborted) await pause(500, signal);
}

// ---- the server ----

/** Send a photo; an answer that is no success is a `Problem`. @param {string} path @param {Blob} photo @param {AbortSignal} signal */
async function post(path, photo, signal) {
  const headers = { "content-type": "application/octet-stream" };
  const response = await fetch(path, { method: "POST", body: photo, headers, signal }).catch((error) => {
    if (signal.aborted) throw error;
    throw new Problem(navigator.onLine ? WORDS.unreachable : WORDS.offline);
  });
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  throw new Problem(answer?.error?.message ?? WORDS.unknown, Number(response.headers.get("retry-after")));
}

/** @param {Blob} photo @param {AbortSignal} signal @returns {Promise<Reading>} */
async function read(photo, signal) {
  const answer = await (await post("/api/read", photo, signal)).json().catch(() => null);
  if (answer) return answer;
  throw new Problem(WORDS.unknown);
}

/** Like `read`, but tries again while the server asks for it. @param {Blob} photo @param {AbortSignal} signal */
async function readPatiently(photo, signal) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read(photo, signal);
    } catch (error) {
      if (!(error instanceof Problem && error.wait) || attempt === PATIENCE) throw error;
      showMessage("⏳", WORDS.reading, error.message);
      await pause(error.wait * 1000, signal);
    }
  }
}

// ---- what people see ----

const view = {
  frame: byId("frame"),
  photo: byId("photo"),
  video: byId("video"),
  placeholder: byId("placeholder"),
  faces: byId("faces"),
  camera: byId("camera"),
  cover: byId("cover"),
  download: byId("download"),
};

/** The reading on show. @type {Reading | null} */
let shown = null;
/** Which of its faces the bars belong to; null follows the main face. @type {number | null} */
let chosen = null;
let announcedAt = 0;

/** Tell screen readers, where it is new and not too soon. @param {string} words @param {number} [gap] */
function announce(words, gap = 0) {
  const announcer = byId("announcer");
  if (announcer.textContent === words || performance.now() - announcedAt < gap) return;
  announcer.textContent = words;
  announcedAt = performance.now();
}

/** Words instead of a reading. @param {string} emoji @param {string} headline @param {string} [detail] @param {number} [gap] */
function showMessage(emoji, headline, detail = "", gap = 0) {
  showFaces([], 1, 1, -1);
  showAnswer(emoji, headline, detail);
  showBars({});
  announce(`${headline}. ${detail}`, gap);
}

/** @param {any} error */
function showProblem(error) {
  if (!(error instanceof Problem)) throw error;
  shown = null;
  showMessage("🙈", WORDS.failed, error.message);
}

/** @param {Reading} reading @param {boolean} live */
function showReading(reading, live) {
  shown = reading;
  const { faces, width, height } = reading;
  const gap = live ? ANNOUNCE_MS : 0;
  setSize(width, height);
  if (!faces.length) {
    showMessage("🔍", WORDS.noFace, live ? WORDS.noFaceLive : WORDS.noFaceHelp, gap);
    return;
  }
  const selected = chosen !== null && chosen < faces.length ? chosen : mainFace(reading);
  const face = faces[selected];
  const sure = `${percent(face.confidence)} sure`;
  const several = faces.length > 1 ? `. ${faces.length} faces found: choose one to see its bars.` : "";
  showFaces(faces, width, height, selected);
  showAnswer(face.emoji, face.expression, sure + several);
  showBars(face.scores);
  announce(`${face.emoji_name}: ${face.expression}${live ? "" : `, ${sure}${several}`}`, gap);
}

/** @param {string} emoji @param {string} headline @param {string} detail */
function showAnswer(emoji, headline, detail) {
  byId("emoji").textContent = emoji;
  byId("headline").textContent = headline;
  byId("detail").textContent = detail;
}

/** @param {Record<string, number>} scores */
function showBars(scores) {
  const top = Math.max(...Object.values(scores));
  for (const name of EXPRESSIONS) {
    const bar = byId(`bar-${name}`);
    bar.classList.toggle("top", scores[name] === top);
    bar.querySelector(".bar-fill").style.width = `${(scores[name] ?? 0) * 100}%`;
    bar.querySelector(".bar-value").textContent = name in scores ? percent(scores[name]) : "–";
  }
}

/**
 * One button a face over the photo. Elements are kept between camera frames, so that keyboard focus stays.
 * @param {Face[]} faces @param {number} width @param {number} height @param {number} selected
 */
function showFaces(faces, width, height, selected) {
  const buttons = view.faces.children;
  while (buttons.length > faces.length) view.faces.lastElementChild.remove();
  while (buttons.length < faces.length) view.faces.append(newFaceButton(buttons.length));
  faces.forEach((face, index) => {
    const button = buttons[index];
    const [left, top, right, bottom] = face.box;
    button.style.left = `${(left / width) * 100}%`;
    button.style.top = `${(top / height) * 100}%`;
    button.style.width = `${((right - left) / width) * 100}%`;
    button.style.height = `${((bottom - top) / height) * 100}%`;
    button.firstElementChild.textContent = face.emoji;
    button.setAttribute("aria-pressed", String(index === selected));
    const words = `${face.emoji_name}, ${face.expression}, ${percent(face.confidence)} sure`;
    button.setAttribute("aria-label", `Face ${index + 1} of ${faces.length}: ${words}`);
  });
}

/** @param {number} index */
function newFaceButton(index) {
  const button = document.createElement("button");
  const badge = document.createElement("span");
  button.type = "button";
  button.className = "face";
  badge.className = "badge";
  badge.setAttribute("aria-hidden", "true");
  button.append(badge);
  button.addEventListener("click", () => {
    chosen = index;
    if (shown) showReading(shown, false);
  });
  return button;
}

/** The face that gave the photo its emoji; of several, the biggest. @param {Reading} reading */
function mainFace({ faces, emoji }) {
  /** @param {Face} face */
  const size = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);
  const givers = faces.filter((face) => face.emoji === emoji);
  return faces.indexOf((givers.length ? givers : faces).reduce((a, b) => (size(b) > size(a) ? b : a)));
}

function buildBars() {
  for (const name of EXPRESSIONS) {
    const bar = document.createElement("li");
    bar.id = `bar-${name}`;
    bar.className = "bar";
    for (const part of ["bar-name", "bar-track", "bar-value"]) {
      bar.append(Object.assign(document.createElement("span"), { className: part }));
    }
    bar.children[0].textContent = name;
    bar.children[1].append(Object.assign(document.createElement("span"), { className: "bar-fill" }));
    byId("bars").append(bar);
  }
  showBars({});
}

/** The upright size of what is shown; boxes and layout follow it. @param {number} width @param {number} height */
function setSize(width, height) {
  view.frame.style.setProperty("--w", String(width));
  view.frame.style.setProperty("--h", String(height));
}

/** Show the photo, the video or the placeholder; null: the invitation. @param {HTMLElement | null} what */
function showPicture(what) {
  byId("invitation").hidden = what !== null;
  view.frame.hidden = what === null;
  for (const picture of [view.photo, view.video, view.placeholder]) picture.hidden = picture !== what;
}

// ---- one thing at a time: beginning the next ends the last ----

let session = new AbortController();

function begin() {
  session.abort();
  session = new AbortController();
  shown = null;
  chosen = null;
  offerCover(null);
  view.frame.classList.remove("mirrored", "reading");
  view.camera.textContent = WORDS.openCamera;
  return session.signal;
}

// ---- photos ----

/** Show a photo; where the browser cannot decode it, a neutral ground. @param {Blob} photo @param {AbortSignal} signal */
async function preview(photo, signal) {
  URL.revokeObjectURL(view.photo.src);
  view.photo.src = URL.createObjectURL(photo);
  const decoded = await view.photo.decode().then(
    () => true,
    () => false,
  );
  if (signal.aborted) return;
  if (decoded) setSize(view.photo.naturalWidth, view.photo.naturalHeight);
  else setSize(4, 3);
  showPicture(decoded ? view.photo : view.placeholder);
}

/** @param {Blob | undefined} photo */
async function usePhoto(photo) {
  if (!photo) return;
  const signal = begin();
  showMessage("⏳", WORDS.reading);
  view.frame.classList.add("reading");
  const previewed = preview(photo, signal);
  try {
    const reading = await readPatiently(photo, signal);
    await previewed;
    if (signal.aborted) return;
    showReading(reading, false);
    offerCover(photo);
  } catch (error) {
    await previewed;
    if (signal.aborted) return;
    if (!view.placeholder.hidden) showPicture(null);
    showProblem(error);
  } finally {
    if (!signal.aborted) view.frame.classList.remove("reading");
  }
}

// ---- covered faces ----

/** The photo on show, and how it looks with its faces covered once somebody asked. */
const cover = { photo: /** @type {Blob | null} */ (null), masked: /** @type {Blob | null} */ (null) };

/** Let the faces of this photo be covered; null: of none. @param {Blob | null} photo */
function offerCover(photo) {
  cover.photo = photo;
  cover.masked = null;
  view.cover.disabled = photo === null;
  setCovered(false);
}

/** @param {boolean} covered */
function setCovered(covered) {
  view.cover.setAttribute("aria-pressed", String(covered));
  view.download.disabled = !covered;
  view.frame.classList.toggle("covered", covered);
}

async function toggleCover() {
  const signal = session.signal;
  const { photo } = cover;
  if (!photo || view.frame.classList.contains("reading")) return;
  const covering = view.cover.getAttribute("aria-pressed") === "false";
  view.frame.classList.add("reading");
  try {
    if (covering && !cover.masked) {
      announce(WORDS.covering);
      const masked = await (await post("/api/mask?everyone=1", photo, signal)).blob();
      if (signal.aborted) return;
      cover.masked = masked;
    }
    await preview(covering && cover.masked ? cover.masked : photo, signal);
    if (signal.aborted) return;
    setCovered(covering);
    announce(covering ? WORDS.covered : WORDS.uncovered);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    byId("detail").textContent = error.message;
    announce(error.message);
  } finally {
    if (!signal.aborted) view.frame.classList.remove("reading");
  }
}

function downloadCovered() {
  if (!cover.masked) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(cover.masked);
  link.download = "face2emoji.jpg";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // the browser may still be saving
}

// ---- the camera ----

/** The last frame that was read, kept to stand still when the camera stops. @type {Blob | null} */
let lastFrame = null;

async function openCamera() {
  if (!navigator.mediaDevices) throw new Problem(WORDS.insecure);
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") throw new Problem(WORDS.refused);
    if (name === "NotFoundError" || name === "OverconstrainedError") throw new Problem(WORDS.noCamera);
    if (name === "NotReadableError" || name === "AbortError") throw new Problem(WORDS.cameraBusy);
    throw new Problem(WORDS.cameraUnknown);
  }
}

/** The current frame as a JPEG, at most FRAME_SIDE long. @param {HTMLCanvasElement} canvas @returns {Promise<Blob>} */
function grab(canvas) {
  const { videoWidth, videoHeight } = view.video;
  const scale = Math.min(1, FRAME_SIDE / Math.max(videoWidth, videoHeight));
  canvas.width = Math.round(videoWidth * scale);
  canvas.height = Math.round(videoHeight * scale);
  canvas.getContext("2d")?.drawImage(view.video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Problem(WORDS.cameraEnded))), "image/jpeg", 0.85),
  );
}

/** Send a frame, show its answer, send the next. @param {AbortSignal} signal */
async function readFrames(signal) {
  const canvas = document.createElement("canvas");
  while (!signal.aborted) {
    await visible(signal);
    const soonest = pause(FRAME_PAUSE_MS, signal);
    try {
      const frame = await grab(canvas);
      const reading = await read(frame, signal);
      if (signal.aborted) return;
      lastFrame = frame;
      showReading(reading, true);
    } catch (error) {
      if (signal.aborted) return;
      showProblem(error);
      await pause((error instanceof Problem && error.wait ? error.wait : 1) * 1000, signal);
    }
    await soonest;
  }
}

async function startCamera() {
  const signal = begin();
  lastFrame = null;
  showMessage("👀", WORDS.looking);
  view.camera.textContent = WORDS.stopCamera;
  /** @type {MediaStream | undefined} */
  let stream;
  try {
    stream = await openCamera();
    if (signal.aborted) return;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => {
      if (!signal.aborted) stopCamera();
    });
    view.video.srcObject = stream;
    await view.video.play();
    if (signal.aborted) return;
    // People know themselves from mirrors; the camera on a phone's back shows others.
    view.frame.classList.toggle("mirrored", track.getSettings().facingMode !== "environment");
    setSize(view.video.videoWidth, view.video.videoHeight);
    showPicture(view.video);
    await readFrames(signal);
  } catch (error) {
    if (signal.aborted) return;
    begin();
    showPicture(null);
    showProblem(error);
  } finally {
    for (const track of stream?.getTracks() ?? []) track.stop();
  }
}

/** Stop, and keep the last frame with its answer on show. */
async function stopCamera() {
  const reading = shown;
  const mirrored = view.frame.classList.contains("mirrored");
  const signal = begin();
  if (reading && lastFrame) {
    await preview(lastFrame, signal);
    if (signal.aborted) return;
    view.frame.classList.toggle("mirrored", mirrored);
    showReading(reading, false);
    offerCover(lastFrame);
  } else {
    showPicture(null);
    showMessage("🙂", WORDS.welcome);
  }
}

// ---- wiring ----

/** @param {DragEvent} event */
function dragOver(event) {
  event.preventDefault();
  document.body.classList.add("dragging");
}

function start() {
  buildBars();
  const file = byId("file");
  byId("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    usePhoto(file.files[0]);
    file.value = ""; // the same file may be chosen again
  });
  view.camera.addEventListener("click", () =>
    view.camera.textContent === WORDS.stopCamera ? stopCamera() : startCamera(),
  );
  view.cover.addEventListener("click", toggleCover);
  view.download.addEventListener("click", downloadCovered);
  document.addEventListener("paste", (event) => usePhoto(event.clipboardData?.files[0]));
  document.addEventListener("dragover", dragOver);
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    usePhoto(event.dataTransfer?.files[0]);
  });
}

start();
