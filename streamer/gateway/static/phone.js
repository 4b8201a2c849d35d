// A phone's own page: one tap, and it sends what it measures and shows what it is doing.

import { Chart } from "./chart.js";
import { DeviceSocket } from "./device_socket.js";
import { Feedback } from "./feedback.js";
import { Refused, askForToken, colour, duration, percent, request, say, takeFragment, token, words } from "./gateway.js";
import { Batches, isNegated, readMotion } from "./motion.js";

const SILENT_MS = 3000;
const at = (id) => document.getElementById(id);

const device = nameDevice(takeFragment().get("device"));
const chart = new Chart(at("chart"), 6000, 60);
const sign = isNegated(navigator) ? -1 : 1;
const feedback = new Feedback(device, { button: at("wrong"), choices: at("choices"), answer: at("noted") });
let running = null;

/** Return the id of this phone: from the address, from an earlier visit, or a new one. */
function nameDevice(given) {
  const name = given ?? localStorage.getItem("device") ?? `phone-${Math.random().toString(36).slice(2, 6)}`;
  localStorage.setItem("device", name);
  return name;
}

/** Ask for the permission, which iPhones give only after a tap; return what is wrong, or null. */
async function askForMotion() {
  if (!isSecureContext) return "Browsers give motion data only to pages that come by https.";
  if (typeof DeviceMotionEvent === "undefined") return "This browser has no motion data.";
  if (typeof DeviceMotionEvent.requestPermission === "function") {
    const answer = await DeviceMotionEvent.requestPermission().catch(() => "denied");
    if (answer !== "granted") return "Motion data was not allowed. Close this tab, open the page again, and allow it.";
  }
  return null;
}

async function start() {
  const problem = await askForMotion();
  if (problem) {
    show({ activity: "No motion data", note: problem });
    return;
  }
  const run = { samples: 0, acknowledged: 0, dropped: 0, clockMs: Date.now() - performance.now(), since: null };
  const socket = new DeviceSocket(device, token(), (what) => hear(run, what));
  const batches = new Batches(device, (text, samples) => socket.send(text, samples));
  const onMotion = (event) => {
    const sample = readMotion(event, run.clockMs, sign);
    if (!sample) return;
    if (!run.samples++) show({ activity: "Listening", note: "The first label comes after about four seconds." });
    batches.add(sample);
    chart.add([sample.time], [sample.acc]);
  };
  addEventListener("devicemotion", onMotion);
  const counting = setInterval(() => count(run), 500);
  const silent = setTimeout(() => {
    if (!run.samples) show({ activity: "No motion data", note: "This device does not seem to have the sensors, or the browser blocks them." });
  }, SILENT_MS);
  const lock = await navigator.wakeLock?.request("screen").catch(() => null);
  running = {
    stop() {
      removeEventListener("devicemotion", onMotion);
      clearInterval(counting);
      clearTimeout(silent);
      batches.flush();
      socket.close();
      lock?.release();
    },
  };
  at("switch").textContent = "Stop";
  at("switch").classList.add("stop");
  show({ activity: "Listening", note: "Waiting for the first reading." });
}

function stop() {
  running.stop();
  running = null;
  chart.clear();
  feedback.hide();
  at("switch").textContent = "Start";
  at("switch").classList.remove("stop");
  say(at("state"), "stopped");
  show({ activity: "Stopped", note: "Nothing is sent." });
}

const STATES = { live: "connected", lost: "connection lost, trying again", refused: "the gateway does not answer, trying again" };

function hear(run, what) {
  if (what.state) say(at("state"), STATES[what.state]);
  if (what.acknowledged) run.acknowledged += what.acknowledged;
  if (what.dropped) run.dropped += what.dropped;
  if (what.error) show({ activity: "Not accepted", note: what.error.error });
  if (what.event) showEvent(run, what.event);
}

const REASONS = {
  transition: "A movement from one activity to another.",
  confidence: "No activity is likely enough.",
  unavailable: "No model has answered.",
  unfamiliar: "It moves in a way that the model has not learned. Try the trouser pocket.",
};

function showEvent(run, event) {
  chart.addWindow(event);
  if (run.since?.activity !== event.activity) run.since = { activity: event.activity, start: event.window_start };
  const forHow = `for ${duration(event.window_end - run.since.start)}`;
  feedback.show(run.since.start, event.window_end);
  show({
    activity: words(event.activity),
    note: event.reason ? REASONS[event.reason] : `${percent(event.confidence)} certain, ${forHow}`,
    confidence: event.reason ? null : event.confidence,
    kind: colour(event.activity),
  });
}

function show({ activity, note, confidence = null, kind = "" }) {
  say(at("activity"), activity);
  say(at("note"), note);
  at("stage").className = `stage ${kind}`;
  at("meter").hidden = confidence === null;
  at("meter").value = confidence ?? 0;
}

function count(run) {
  const lost = run.dropped ? `, ${run.dropped} dropped` : "";
  say(at("counts"), `${run.samples} samples, ${run.acknowledged} in Kafka${lost}`);
}

/** Show the page if the gateway takes readings of this kind from this phone. */
async function open() {
  try {
    const fleet = await (await request("/fleet")).json();
    at("phone").hidden = false;
    say(at("name"), device);
    at("fleet").href = `/#${new URLSearchParams({ device })}`;
    if (fleet.readings_format !== "streamer") {
      at("switch").disabled = true;
      show({ activity: "Not possible", note: `The topic has readings in the format ${fleet.readings_format}; this page sends the format streamer.` });
    }
  } catch (error) {
    if (error instanceof Refused) askForToken(at("login"));
    else {
      at("phone").hidden = false;
      show({ activity: "No gateway", note: "It does not answer. Load the page again." });
    }
  }
}

at("switch").addEventListener("click", () => (running ? stop() : start()));
addEventListener("pagehide", () => running?.stop());
open();
