// Acceleration as it arrives, with the windows and their labels on top.

import { colour, words } from "./gateway.js";

const LONGEST_SAMPLES = 4000;
const ROW = 20;
const TALL = 200;

export class Chart {
  /**
   * @param canvas where it is drawn.
   * @param spanMs time that is shown.
   * @param delayMs how far the right edge is behind the newest sample at most, so that it moves evenly.
   */
  constructor(canvas, spanMs, delayMs) {
    this.canvas = canvas;
    this.spanMs = spanMs;
    this.delayMs = delayMs;
    this.clear();
    const draw = () => {
      this.draw();
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  clear() {
    this.samples = [];
    this.windows = [];
    this.newest = null;
    this.offset = null;
  }

  /** Add samples: times in ms, rows of x, y and z in g. */
  add(times, rows) {
    for (let i = 0; i < times.length; i++) this.samples.push([times[i], ...rows[i]]);
    if (this.samples.length > LONGEST_SAMPLES) this.samples.splice(0, this.samples.length - LONGEST_SAMPLES);
    const last = times.at(-1);
    if (this.newest === null || last > this.newest || last < this.newest - this.spanMs) this.newest = last;
  }

  /** Add a window: start, end, activity, confidence. */
  addWindow(event) {
    this.windows.push({
      start: event.window_start, end: event.window_end, activity: event.activity, confidence: event.confidence,
    });
    if (this.windows.length > 100) this.windows.shift();
  }

  /** Return the time at the right edge: it follows the newest sample evenly. */
  edge(now) {
    const wanted = this.newest - now;
    if (this.offset === null || Math.abs(wanted - this.offset) > 2000 + this.delayMs) this.offset = wanted - this.delayMs;
    // A little faster while behind and slower while ahead; samples come in batches.
    this.offset += (wanted - this.delayMs / 2 - this.offset) * 0.02;
    return Math.min(this.newest, now + this.offset);
  }

  draw() {
    const { canvas } = this;
    const width = canvas.clientWidth, height = canvas.clientHeight, ratio = devicePixelRatio || 1;
    if (!width || document.hidden) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    const ink = (name) => style.getPropertyValue(`--${name}`).trim();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `12px ${style.fontFamily}`;
    context.textBaseline = "middle";
    if (this.newest === null) return;

    const right = this.edge(performance.now()), left = right - this.spanMs;
    const x = (time) => ((time - left) / this.spanMs) * width;
    const top = 2 * ROW + (height > TALL ? 24 : 10);
    const shown = this.samples.filter(([time]) => time >= left - 100 && time <= right + 100);
    let most = 1.5;
    for (const [, ...axes] of shown) for (const value of axes) most = Math.max(most, Math.abs(value));
    most = Math.ceil(most * 2) / 2;
    const y = (value) => top + (0.5 - value / most / 2) * (height - top - 8) + 2;

    context.lineWidth = 1;
    context.strokeStyle = ink("line");
    const step = most > 4 ? 2 : 1;
    const marks = [];
    for (let g = -Math.floor(most / step) * step; g <= most; g += step) marks.push(g);
    for (const g of marks) {
      context.beginPath();
      context.moveTo(0, y(g));
      context.lineTo(width, y(g));
      context.stroke();
    }

    this.windows.forEach((window) => this.drawWindow(context, window, x, ink, width));

    context.lineWidth = 1.6;
    context.lineJoin = "round";
    ["x", "y", "z"].forEach((axis, column) => {
      context.strokeStyle = ink(`axis-${axis}`);
      context.beginPath();
      let before = null;
      for (const sample of shown) {
        // A gap in the readings is a gap in the line.
        if (before === null || sample[0] - before > 250 || sample[0] < before) context.moveTo(x(sample[0]), y(sample[column + 1]));
        else context.lineTo(x(sample[0]), y(sample[column + 1]));
        before = sample[0];
      }
      context.stroke();
    });

    // The marks are above the lines, with an edge that keeps them readable.
    context.fillStyle = ink("quiet");
    context.strokeStyle = ink("panel");
    context.lineWidth = 4;
    for (const g of height > TALL ? marks : []) {
      context.strokeText(`${g} g`, 4, y(g) - 8);
      context.fillText(`${g} g`, 4, y(g) - 8);
    }
  }

  /** Windows overlap by half: every second one is in the second row. */
  drawWindow(context, window, x, ink, width) {
    const from = x(window.start), to = x(window.end);
    if (to < 0 || from > width) return;
    const row = Math.round(window.start / ((window.end - window.start) / 2)) % 2;
    const above = 2 + row * (ROW + 3);
    context.fillStyle = ink(colour(window.activity));
    context.globalAlpha = 0.45 + 0.55 * (window.confidence ?? 0);
    context.beginPath();
    context.roundRect(from + 1, above, to - from - 2, ROW, 5);
    context.fill();
    context.globalAlpha = 1;
    context.save();
    context.clip();
    context.fillStyle = ink("text");
    context.fillText(words(window.activity), Math.max(from, 0) + 7, above + ROW / 2 + 0.5);
    context.restore();
  }
}
