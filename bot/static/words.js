// @ts-check
// Every sentence that the page itself says.

export const WORDS = {
  welcome: "Which emoji are you?",
  welcomeHelp: "Your expression shows up here.",
  reading: "Reading the picture",
  waiting: "Waiting its turn",
  looking: "Looking for a face",
  noFace: "No face found",
  noFaceHelp: "Try a picture where a face is well lit and not too small.",
  noFaceLive: "Come a little closer, or turn towards the light.",
  failed: "That did not work",
  offline: "You seem to be offline. Check your connection and try again.",
  unreachable: "The server does not answer. Is it still running?",
  unknown: "The server gave an answer this page does not understand. Reload the page and try again.",
  refused: "The camera was refused. Allow it in your browser's address bar, then try again, or choose a picture.",
  noCamera: "No camera was found. Plug one in, or choose a picture.",
  cameraBusy: "Another program is using the camera. Close it, then try again.",
  cameraUnknown: "This browser did not open the camera. Try another browser, or choose a picture.",
  insecure: "Browsers open the camera only on https:// pages or on localhost.",
  cameraEnded: "The camera went away. Plug it in again, or choose a picture.",
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
  covering: "Covering the faces",
  covered: "Every face that was found is covered. Look closely before you share the picture.",
  uncovered: "The faces are shown again.",
  noCues: "nothing in particular",
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
};

/** Never 100%: nobody is that sure. @param {number} share */
export const percent = (share) => `${Math.min(99, Math.round(share * 100))}%`;
