// @ts-check
// Live: the camera's own video, smooth, and beside it a slower stream of readings.

import { cameras, frames, openCamera } from "./camera.js";
import { byId, make } from "./page.js";
import { Problem, stream, words } from "./server.js";
import { WORDS } from "./words.js";

/** @typedef {import("./server.js").Reading} Reading */
/** @typedef {{
 *   opened: (mirrored: boolean) => void,
 *   sized: (width: number, height: number) => void,
 *   answered: (reading: Reading) => void,
 *   noticed: (words: string) => void,
 *   ended: (words: string) => void,
 * }} Watcher `noticed`: words over the video, empty when all is well; `ended`: by itself, and why */

export class Live {
  /** @param {HTMLVideoElement} video @param {Watcher} watcher */
  constructor(video, watcher) {
    this.video = video;
    this.watcher = watcher;
    this.on = false;
    this.paused = false;
    this.device = "";
    /** @type {MediaStream | null} */
    this.camera = null;
    this.run = new AbortController();
    /** The frame that was answered last, in full size: what is on show belongs to it. @type {ImageBitmap | null} */
    this.answered = null;
    this.pauseButton = byId("pause");
    this.choice = byId("cameras");
    this.pauseButton.addEventListener("click", () => (this.paused ? this.resume() : this.pause()));
    this.choice.addEventListener("change", () => this.choose(this.choice.value));
    video.addEventListener("resize", () => this.on && watcher.sized(video.videoWidth, video.videoHeight));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.on && this.listCameras());
    document.addEventListener("visibilitychange", () => this.on && (document.hidden ? this.hide() : this.reappear()));
  }

  /** Open the camera and begin to read, until `stop`. */
  async start() {
    this.on = true;
    this.setPaused(false);
    const { signal } = this.begin();
    try {
      const camera = await openCamera(this.device);
      if (signal.aborted) {
        close(camera);
        return;
      }
      this.camera = camera;
      const [track] = camera.getVideoTracks();
      track.addEventListener("ended", () => this.camera === camera && this.end(WORDS.cameraEnded));
      this.video.srcObject = camera;
      await this.video.play();
      if (signal.aborted) return;
      const { facingMode, deviceId } = track.getSettings();
      this.watcher.sized(this.video.videoWidth, this.video.videoHeight);
      // People know themselves from mirrors; the camera on a phone's back shows others.
      this.watcher.opened(facingMode !== "environment");
      this.device = deviceId ?? "";
      await this.listCameras();
      this.read(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.device = "";
      this.end(words(error instanceof DOMException ? new Problem(WORDS.cameraUnknown) : error));
    }
  }

  stop() {
    this.on = false;
    this.run.abort();
    this.shut();
    this.keep(null);
    this.video.srcObject = null;
    this.watcher.noticed("");
  }

  pause() {
    this.setPaused(true);
    this.run.abort();
    this.video.pause();
    this.watcher.noticed(WORDS.paused);
  }

  async resume() {
    if (!this.camera) return this.start();
    this.setPaused(false);
    const { signal } = this.begin();
    await this.video.play();
    if (!signal.aborted) this.read(signal);
  }

  /** Nobody looks: the camera goes off. */
  hide() {
    this.run.abort();
    this.shut();
    this.watcher.noticed(this.paused ? WORDS.paused : WORDS.hidden);
  }

  reappear() {
    if (!this.paused) this.start();
  }

  /** @param {string} device */
  choose(device) {
    this.device = device;
    this.shut();
    this.start();
  }


  begin() {
    this.run.abort();
    this.run = new AbortController();
    this.watcher.noticed("");
    return this.run;
  }

  /** @param {AbortSignal} signal */
  read(signal) {
    const { watcher } = this;
    const next = frames(this.video);
    /** @type {ImageBitmap | null} */
    let asked = null;
    stream(
      {
        grab: async () => {
          const frame = await next(signal);
          asked?.close();
          asked = frame && frame.whole;
          return frame && frame.small;
        },
        answered: (reading) => {
          this.keep(asked);
          asked = null;
          watcher.noticed("");
          watcher.answered(reading);
        },
        trouble: (words) => watcher.noticed(words),
        refused: (words) => this.end(words),
      },
      signal,
    );
  }

  /** @param {ImageBitmap | null} frame */
  keep(frame) {
    this.answered?.close();
    this.answered = frame;
  }

  async listCameras() {
    const all = await cameras();
    this.choice.hidden = all.length < 2;
    this.choice.replaceChildren(
      ...all.map(({ label, deviceId }, index) => make("option", { value: deviceId }, label || `Camera ${index + 1}`)),
    );
    this.choice.value = this.device;
  }

  shut() {
    if (this.camera) close(this.camera);
    this.camera = null;
  }

  /** @param {string} why */
  end(why) {
    this.stop();
    this.watcher.ended(why);
  }

  /** @param {boolean} paused */
  setPaused(paused) {
    this.paused = paused;
    this.pauseButton.textContent = paused ? WORDS.resume : WORDS.pause;
  }
}

/** @param {MediaStream} camera */
function close(camera) {
  for (const track of camera.getTracks()) track.stop();
}
