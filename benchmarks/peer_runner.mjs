// One reader of faces as a process of its own: node peer_runner.mjs FOLDER NAME, where FOLDER holds node_modules.
//
// Lines in and out are those of peer_runner.py. Pictures are decoded by sharp (libvips, libjpeg-turbo) on one thread; the
// networks run in TensorFlow.js's WebAssembly with SIMD, which has one thread in Node.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const [folder, name] = process.argv.slice(2);
const modules = path.resolve(folder, "node_modules");
const require = createRequire(path.join(modules, "x.js"));
const wasm = path.join(modules, "@tensorflow/tfjs-backend-wasm/dist/");
// As the package's own demonstration for WebAssembly has it. At the default of 0.5 TinyFaceDetector missed 22 of 24 faces
// that fill their picture, at 0.1 it missed 9; for SsdMobilenet no gain was seen.
const THRESHOLD = 0.1;
// Standard output belongs to the answers.
console.log = console.info = console.warn = console.error;

// Without landmarks: 45 pictures showed no difference, at the default threshold.
async function faceApi(options, net) {
  require("@tensorflow/tfjs-backend-wasm").setWasmPaths(wasm);
  const faceapi = require("@vladmandic/face-api/dist/face-api.node-wasm.js");
  await faceapi.tf.setBackend("wasm");
  await faceapi.tf.ready();
  const models = path.join(modules, "@vladmandic/face-api/model");
  await faceapi.nets[net].loadFromDisk(models);
  await faceapi.nets.faceExpressionNet.loadFromDisk(models);
  const settings = options(faceapi);
  return [faceapi.tf, async (tensor) => {
    const face = await faceapi.detectSingleFace(tensor, settings).withFaceExpressions();
    return face ? face.expressions.asSortedArray()[0].expression : null;
  }];
}

// Without its mesh, which lost 3 of 45 faces that it finds alone.
async function human() {
  // Human fetches its models, and Node's fetch knows no files.
  const fetchAddress = globalThis.fetch;
  globalThis.fetch = async (address, ...rest) =>
    String(address).startsWith("file://") ? new Response(fs.readFileSync(new URL(address))) : fetchAddress(address, ...rest);
  const package_ = path.join(modules, "@vladmandic/human");
  const { Human } = require(path.join(package_, "dist/human.node-wasm.js"));
  const off = { enabled: false };
  const reader = new Human({
    backend: "wasm",
    wasmPath: wasm,
    modelBasePath: `file://${package_}/models/`,
    debug: false,
    // No answer may come from the picture before.
    cacheSensitivity: 0,
    filter: off, gesture: off, body: off, hand: off, object: off, segmentation: off,
    face: {
      enabled: true,
      detector: { rotation: false, maxDetected: 1 },
      mesh: off,
      emotion: { enabled: true, minConfidence: 0 },
      attention: off, iris: off, description: off, antispoof: off, liveness: off,
    },
  });
  await reader.load();
  return [reader.tf, async (tensor) => {
    const result = await reader.detect(tensor);
    if (result.error) throw new Error(result.error);
    return result.face.length ? result.face[0].emotion[0].emotion : null;
  }];
}

const readers = {
  "face-api-tiny": () => faceApi(
    (api) => new api.TinyFaceDetectorOptions({ scoreThreshold: THRESHOLD }), "tinyFaceDetector"),
  "face-api-ssd": () => faceApi(
    (api) => new api.SsdMobilenetv1Options({ minConfidence: THRESHOLD, maxResults: 1 }), "ssdMobilenetv1"),
  human,
};

const sharp = require("sharp");
sharp.concurrency(1);
sharp.cache(false);
const [tf, detect] = await readers[name]();

async function read(bytes) {
  const upright = sharp(bytes).rotate().toColourspace("srgb").removeAlpha();
  const { data, info } = await upright.raw().toBuffer({ resolveWithObject: true });
  const tensor = tf.tensor3d(data, [info.height, info.width, 3], "int32");
  try {
    return await detect(tensor);
  } finally {
    tensor.dispose();
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const bytes = fs.readFileSync(line);
  let answer;
  try {
    const started = performance.now();
    const word = await read(bytes);
    answer = { word, ms: performance.now() - started };
  } catch (problem) {
    answer = { error: String(problem) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
