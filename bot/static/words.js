// @ts-check
// Every sentence that the page itself says.

export const WORDS = {
  welcome: "Which emoji are you?",
  welcomeHelp: "Your expression shows up here.",
  reading: "Reading the photo",
  waiting: "Waiting its turn",
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
  cameraEnded: "The camera went away. Plug it in again, or choose a photo.",
  lost: "The connection was lost. Trying again …",
  paused: "Paused",
  hidden: "Paused while this page was out of sight",
  goLive: "Go live",
  stopLive: "Stop live",
  pause: "Pause",
  resume: "Resume",
  copied: "Copied",
  notCopied: "This browser does not let the page copy. Select the emoji and copy it by hand.",
  kept: "kept below.",
  cleared: "The photos are gone.",
  notDrawn: "Your browser cannot put emoji on this photo. Cover its faces to download it.",
  covering: "Covering the faces",
  covered: "Every face that was found is covered. Look closely before you share the photo.",
  nothingCovered: "No face was found, so nothing is covered.",
  notCovered: "The faces are not covered.",
  uncovered: "The faces are shown again.",
  noCues: "nothing in particular",
  empty: "The file is empty, or it is a folder. Choose image files.",
  again: "Try again",
  notPhotos: "That was no photo. Drop, paste or choose image files.",
};

/** The cues in the person's own left and right. @type {Record<string, string>} */
export const CUES = {
  wink_left: "left eye winks",
  wink_right: "right eye winks",
  eyes_closed: "eyes closed",
  eyes_squeezed: "eyes squeezed shut",
  eyes_wide: "eyes wide open",
  mouth_open: "mouth open",
  mouth_wide_open: "mouth wide open",
  smile_closed: "smile with closed lips",
  smile_open: "open smile",
  smirk: "one corner of the mouth up",
  pout: "pursed lips",
  lips_pressed: "lips pressed",
  brows_raised: "brows raised",
  brow_raised: "one brow raised",
  brows_lowered: "brows lowered",
  head_tilted: "head tilted",
  head_turned: "head turned",
  looking_up: "looking up",
  looking_aside: "looking aside",
  eyes_covered: "eyes covered",
  mouth_covered: "mouth covered",
};

/** What rules may ask for besides: any of several cues. @type {Record<string, string>} */
const GROUPS = { wink: "one eye winks", smile: "smile" };

/** Not rounded up, as in the rules, and never 100%: nobody is that sure. @param {number} share */
export const percent = (share) => `${Math.min(99, Math.floor(share * 100 + 1e-9))}%`;

/** What spoke against a rule, with the words and percentages that stand elsewhere on the page. @param {string} objection */
export const inWords = (objection) =>
  objection
    .replace(/\b[01]\.\d\d\b/g, (share) => percent(Number(share)))
    .replace(/\b[a-z]+(_[a-z]+)*\b/g, (cue) => CUES[cue] ?? GROUPS[cue] ?? cue);
