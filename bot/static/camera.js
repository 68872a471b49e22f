// @ts-check
// The camera: opening it, naming those there are, taking frames.

import { jpeg, pause } from "./page.js";
import { Problem } from "./server.js";
import { WORDS } from "./words.js";

const FRAME_SIDE = 640; // longest side of a frame that is sent

/** What the browser calls it -> what we say. @type {Record<string, string>} */
const REASONS = {
  NotAllowedError: WORDS.refused,
  SecurityError: WORDS.refused,
  NotFoundError: WORDS.noCamera,
  OverconstrainedError: WORDS.noCamera,
  NotReadableError: WORDS.cameraBusy,
  AbortError: WORDS.cameraBusy,
};

/** @param {string} [device] the id of the one that was chosen; else the one that faces the person */
export async function openCamera(device) {
  if (!navigator.mediaDevices) throw new Problem(WORDS.insecure);
  const which = device ? { deviceId: { exact: device } } : { facingMode: "user" };
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...which, width: { ideal: 1280 } } });
  } catch (error) {
    throw new Problem(REASONS[error instanceof DOMException ? error.name : ""] ?? WORDS.cameraUnknown);
  }
}

/** The cameras there are; their names are known once one was allowed. */
export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput");
}

/** A still picture as a JPEG. @param {ImageBitmap} still @param {number} quality @param {number} [side] longest @param {HTMLCanvasElement} [canvas] */
export function encode(still, quality, side = Infinity, canvas = document.createElement("canvas")) {
  const scale = Math.min(1, side / Math.max(still.width, still.height));
  canvas.width = Math.round(still.width * scale);
  canvas.height = Math.round(still.height * scale);
  canvas.getContext("2d")?.drawImage(still, 0, 0, canvas.width, canvas.height);
  return jpeg(canvas, quality);
}

/**
 * A function that gives the newest frame of a video, in full size and smaller, as it is sent: at once if it was not given
 * before, else when it comes.
 * @param {HTMLVideoElement} video
 * @returns {(signal: AbortSignal) => Promise<{whole: ImageBitmap, small: Blob | null} | null>}
 */
export function frames(video) {
  const canvas = document.createElement("canvas");
  let given = -1;
  const ready = () => video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && video.currentTime !== given;
  return async (signal) => {
    while (!signal.aborted && !ready()) await pause(5, signal);
    if (signal.aborted) return null;
    given = video.currentTime;
    const whole = await createImageBitmap(video);
    return { whole, small: await encode(whole, 0.85, FRAME_SIDE, canvas) };
  };
}
