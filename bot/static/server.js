// @ts-check
// The server: single pictures by HTTP, the camera by one WebSocket.

import { pause } from "./page.js";
import { WORDS } from "./words.js";

/**
 * @typedef {{speaks: Record<string, string[]>, passed: [string, string, string][]}} Explanation
 * @typedef {{box: [number, number, number, number], roll: number, expression: string, confidence: number,
 *   scores: Record<string, number>, cues: Record<string, number>, emoji: string, emoji_name: string,
 *   rule: string, explanation?: Explanation}} Face
 * @typedef {{width: number, height: number, faces: Face[], emoji: string | null}} Reading
 */

const PATIENCE = 5; // how often a picture is sent again while the server is busy or starting
const UNREACHABLE_S = 1; // from one such attempt to the next where there is no server to say so
const SOONEST_MS = 500; // until a lost connection is tried again; then twice as long each time
const LATEST_MS = 8000;
const REFUSED = 1008; // the close code of what is refused however often it is tried

/** A failure with a sentence for people; `wait` is in seconds when trying again helps. */
export class Problem extends Error {
  /** @param {string} message @param {number} [wait] */
  constructor(message, wait = 0) {
    super(message);
    this.wait = wait;
  }
}

/** What a failure says to people; a mistake of ours is thrown on. @param {any} error */
export function words(error) {
  if (!(error instanceof Problem)) throw error;
  return error.message;
}

/** @param {string} path @param {Blob} photo @param {AbortSignal} signal */
async function post(path, photo, signal) {
  const headers = { "content-type": "application/octet-stream" };
  const response = await fetch(path, { method: "POST", body: photo, headers, signal }).catch((error) => {
    if (signal.aborted) throw error;
    throw new Problem(navigator.onLine ? WORDS.unreachable : WORDS.offline, UNREACHABLE_S);
  });
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  throw new Problem(answer?.error?.message ?? WORDS.unknown, Number(response.headers.get("retry-after")));
}

/**
 * Read one picture; while the server asks for it, again.
 * @param {Blob} photo @param {(words: string) => void} onWait @param {AbortSignal} signal @returns {Promise<Reading>}
 */
export async function read(photo, onWait, signal) {
  if (!photo.size) throw new Problem(WORDS.empty);
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await (await post("/api/read?explain=1", photo, signal)).json().catch(() => null);
      if (answer) return answer;
      throw new Problem(WORDS.unknown);
    } catch (error) {
      if (!(error instanceof Problem && error.wait) || attempt === PATIENCE) throw error;
      onWait(error.message);
      await pause(error.wait * 1000, signal);
    }
  }
}

/** The picture with its faces covered; null: there are none. @param {Blob} photo @param {AbortSignal} signal @returns {Promise<Blob | null>} */
export async function mask(photo, signal) {
  const response = await post("/api/mask?everyone=1", photo, signal);
  return response.headers.get("x-faces-covered") === "0" ? null : response.blob();
}

/**
 * Send frames and take their answers, one at a time, until the signal aborts or the server refuses. A lost connection is
 * opened anew, later each time that it is in vain.
 * @param {{
 *   grab: (signal: AbortSignal) => Promise<Blob | null>,
 *   answered: (reading: Reading) => void,
 *   trouble: (words: string) => void,
 *   refused: (words: string) => void,
 * }} camera `grab` gives the newest frame that was not sent yet.
 * @param {AbortSignal} signal
 */
export async function stream(camera, signal) {
  for (let failures = 0; !signal.aborted; failures++) {
    const { answers, said, wait, code } = await connection(camera, signal);
    if (signal.aborted) return;
    if (code === REFUSED) return camera.refused(said || WORDS.unknown);
    if (answers) failures = 0;
    camera.trouble(said || (navigator.onLine ? WORDS.lost : WORDS.offline));
    const longest = Math.max(wait * 1000, Math.min(LATEST_MS, SOONEST_MS * 2 ** failures));
    await pause(longest * (0.75 + Math.random() / 2), signal);
  }
}

/**
 * One connection from its beginning to its end.
 * @param {Parameters<typeof stream>[0]} camera @param {AbortSignal} signal
 * @returns {Promise<{answers: number, said: string, wait: number, code: number}>} what the server said last if it was no answer
 */
function connection(camera, signal) {
  const end = { answers: 0, said: "", wait: 0, code: 0 };
  const address = new URL("/api/live", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  const leave = () => socket.close();
  signal.addEventListener("abort", leave);

  const next = async () => {
    const frame = await camera.grab(signal);
    if (frame && socket.readyState === WebSocket.OPEN) socket.send(frame);
  };
  /** @param {any} answer */
  const take = async (answer) => {
    if (signal.aborted) return;
    end.said = answer.error?.message ?? "";
    end.wait = answer.error?.retry_after ?? 0;
    if (answer.error) {
      camera.trouble(end.said);
      await pause(1000 * (end.wait || 1), signal); // if the server stays, it takes the next frame then
    } else {
      end.answers++;
      camera.answered(answer);
    }
    await next();
  };
  return new Promise((resolve) => {
    socket.addEventListener("open", next);
    socket.addEventListener("message", (event) => take(JSON.parse(event.data)));
    socket.addEventListener("close", ({ code }) => {
      signal.removeEventListener("abort", leave);
      end.code = code;
      resolve(end);
    });
  });
}
