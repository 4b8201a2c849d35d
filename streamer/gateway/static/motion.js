// From DeviceMotion events to readings as the contract has them: g, rad/s, batches.

const STANDARD_GRAVITY = 9.80665;
const RADIANS = Math.PI / 180;
const BATCH = 12;
const LONGEST_BATCH_MS = 250;
const LONGEST_GAP_MS = 100;

/**
 * Whether this browser gives the acceleration with the opposite sign.
 *
 * All browsers of iPhones and iPads do. An iPad may call itself a Macintosh, which has no touch screen.
 */
export function isNegated({ userAgent, maxTouchPoints }) {
  return /iPhone|iPad|iPod/.test(userAgent) || (userAgent.includes("Macintosh") && maxTouchPoints > 1);
}

/** Return one sample of an event, or null if it has no acceleration. */
export function readMotion(event, clockMs, sign) {
  const acc = event.accelerationIncludingGravity, turn = event.rotationRate;
  if (acc?.x == null || acc.y == null || acc.z == null) return null;
  return {
    time: clockMs + event.timeStamp,
    acc: [acc.x, acc.y, acc.z].map((value) => round((sign * value) / STANDARD_GRAVITY)),
    // Browsers mean x, y and z by alpha, beta and gamma here; only orientation has other axes.
    gyro: turn?.alpha == null ? null : [turn.alpha, turn.beta, turn.gamma].map((value) => round(value * RADIANS)),
  };
}

function round(value) {
  return Math.round(value * 1e5) / 1e5;
}

/** Collects samples, and gives them to a function as batches. */
export class Batches {
  constructor(device, send) {
    this.device = device;
    this.send = send;
    this.samples = [];
    this.last = -Infinity;
  }

  add(sample) {
    if (sample.time <= this.last) return;
    const first = this.samples[0];
    // A batch has even steps and one kind of samples.
    if (first && (sample.time - this.last > LONGEST_GAP_MS || !sample.gyro !== !first.gyro)) this.flush();
    this.last = sample.time;
    this.samples.push(sample);
    if (this.samples.length >= BATCH || sample.time - this.samples[0].time >= LONGEST_BATCH_MS) this.flush();
  }

  flush() {
    const { samples } = this;
    if (!samples.length) return;
    this.samples = [];
    const first = samples[0];
    const reading = { device_id: this.device, timestamp: first.time };
    if (samples.length === 1) {
      reading.acc = first.acc;
      if (first.gyro) reading.gyro = first.gyro;
    } else {
      reading.interval_ms = (samples.at(-1).time - first.time) / (samples.length - 1);
      reading.acc = samples.map(({ acc }) => acc);
      if (first.gyro) reading.gyro = samples.map(({ gyro }) => gyro);
    }
    this.send(JSON.stringify(reading), samples.length);
  }
}
