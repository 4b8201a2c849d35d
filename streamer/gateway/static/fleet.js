// The page of the fleet: figures, devices by activity, and what a chosen device measures and does.

import { Chart } from "./chart.js";
import {
  Refused, askForToken, colour, duration, follow, make, pause, percent, request, say, takeFragment, words,
} from "./gateway.js";

const EVERY_MS = 2000;
const HOUR_MS = 3_600_000;
const CHOOSE = "Choose a device to see what it measures and what it does.";
const NONE_YET = "No device has a label yet. A device appears here some seconds after it begins to send readings. "
  + "To try it, follow the link above on a phone.";
const at = (id) => document.getElementById(id);

const chart = new Chart(at("chart"), 15_000, 900);
let chosen = takeFragment().get("device");
let following = null;
let stretches = [];

function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Show the fleet again and again. */
async function watchFleet() {
  for (;;) {
    try {
      const query = new URLSearchParams({ query: at("search").value });
      showFleet(await (await request(`/fleet?${query}`)).json());
    } catch (error) {
      if (error instanceof Refused) {
        at("fleet").hidden = true;
        askForToken(at("login"));
        return;
      }
      say(at("state"), "The gateway does not answer, trying again");
    }
    await pause(EVERY_MS);
  }
}

function showFleet(fleet) {
  at("fleet").hidden = false;
  say(at("state"), fleet.trouble || "live");
  say(at("active"), number(fleet.active));
  say(at("labels"), number(fleet.labels_per_s, 1));
  say(at("readings"), number(fleet.readings_per_s, 1));
  say(at("lag"), number(fleet.lag));
  say(at("delay"), fleet.delay_ms === null ? "–" : number(fleet.delay_ms / 1000, 1));
  showBars(Object.entries(fleet.activities));
  showDevices(fleet);
  say(at("choose"), fleet.found || at("search").value ? CHOOSE : NONE_YET);
  if (!chosen && fleet.devices.length === 1) choose(fleet.devices[0].device_id);
}

function showBars(activities) {
  const most = Math.max(1, ...activities.map(([, count]) => count));
  at("bars").replaceChildren(...activities.map(([activity, count]) => {
    const bar = make("span", { className: `bar ${colour(activity)}` });
    bar.style.width = `${(100 * count) / most}%`;
    return make("li", {}, make("span", { textContent: words(activity) }), bar,
      make("span", { className: "number", textContent: number(count) }));
  }));
  at("no-bars").hidden = activities.length > 0;
}

/** Change the rows that are there instead of making new ones: the focus stays where it is. */
function showDevices(fleet) {
  const list = at("devices");
  const rows = new Map([...list.children].map((row) => [row.dataset.device, row]));
  const devices = fleet.devices.toSorted((a, b) => a.device_id.localeCompare(b.device_id, "en", { numeric: true }));
  devices.forEach((device, i) => {
    let row = rows.get(device.device_id);
    if (!row) {
      const button = make("button", { type: "button" },
        make("span", { className: "name", textContent: device.device_id }), make("span", { className: "quiet" }));
      button.addEventListener("click", () => {
        choose(device.device_id);
        at("device").scrollIntoView({ block: "nearest" });
      });
      row = make("li", {}, button);
      row.dataset.device = device.device_id;
    }
    rows.delete(device.device_id);
    row.firstChild.setAttribute("aria-pressed", String(device.device_id === chosen));
    showRow(row.firstChild, device.active ? device.activity : null);
    if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
  });
  for (const row of rows.values()) row.remove();
  const hidden = fleet.found - devices.length;
  say(at("more"), hidden > 0 ? `and ${number(hidden)} more; find them by name` : devices.length ? "" : "No device found.");
}

/** Show what a device of the list is doing; null if it is silent. */
function showRow(button, activity) {
  const text = ` ${activity === null ? "silent" : words(activity)}`;
  button.classList.toggle("silent", activity === null);
  if (button.lastChild.textContent !== text) {
    button.lastChild.replaceChildren(make("span", { className: `swatch ${colour(activity ?? "unknown")}` }), text);
  }
}

function choose(device) {
  chosen = device;
  history.replaceState(null, "", `#${new URLSearchParams({ device })}`);
  for (const row of at("devices").children) row.firstChild.setAttribute("aria-pressed", String(row.dataset.device === device));
  following?.abort();
  following = new AbortController();
  chart.clear();
  stretches = [];
  at("choose").hidden = true;
  at("device").hidden = false;
  say(at("device-id"), device);
  say(at("activity"), "–");
  for (const id of ["for", "confidence", "familiarity"]) say(at(id), "–");
  showNote("");
  showHistory();
  const { signal } = following;
  const path = encodeURIComponent(device);
  request(`/history/${path}`, { signal }).then((response) => response.json()).then((answer) => {
    stretches = answer.stretches;
    showHistory();
  }).catch(() => {});
  follow(`/readings/${path}`, signal, (_, readings) => readings.t && chart.add(readings.t, readings.acc));
  follow(`/events/${path}`, signal, (kind, event) => kind === "message" && showEvent(event), (state) => {
    if (state === "refused") showNote("The token is not good for this device.");
  });
}

function showEvent(event) {
  chart.addWindow(event);
  const last = stretches.at(-1);
  // Half overlapping windows still touch when one between them is missing.
  if (last && last.activity === event.activity && event.window_start <= last.end && event.window_start >= last.start) {
    last.end = event.window_end;
  } else {
    stretches.push({
      activity: event.activity, start: event.window_start, end: event.window_end, confidence: event.confidence,
    });
    if (at("activity").textContent !== words(event.activity)) say(at("spoken"), `${event.device_id}: ${words(event.activity)}`);
  }
  say(at("activity"), words(event.activity));
  at("activity").className = colour(event.activity);
  const row = [...at("devices").children].find((each) => each.dataset.device === event.device_id);
  if (row) showRow(row.firstChild, event.activity);
  say(at("for"), duration(stretches.at(-1).end - stretches.at(-1).start));
  say(at("confidence"), percent(event.confidence));
  say(at("familiarity"), percent(event.familiarity));
  showNote(event.reliability === "unfamiliar"
    ? "This device moves in a way that the model has not learned." : REASONS[event.reason] ?? "");
  showHistory();
}

const REASONS = {
  transition: "Unknown: the window shows a movement from one activity to another.",
  confidence: "Unknown: no activity is likely enough.",
  unavailable: "Unknown: no model has answered.",
  unfamiliar: "Unknown: this device moves in a way that the model has not learned.",
};

function showNote(text) {
  say(at("note"), text);
  at("note").hidden = !text;
}

function showHistory() {
  const end = stretches.at(-1)?.end ?? 0;
  stretches = stretches.filter((each) => each.end > end - HOUR_MS);
  at("strip").replaceChildren(...stretches.map((each) => {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const from = Math.max(0, (each.start - end + HOUR_MS) / 1000);
    for (const [name, value] of Object.entries({
      class: colour(each.activity), x: from, y: 0, width: Math.max(2, (each.end - end + HOUR_MS) / 1000 - from), height: 10,
    })) rect.setAttribute(name, value);
    return rect;
  }));
  at("stretches").replaceChildren(...stretches.slice(-60).reverse().map((each) => make("tr", {},
    make("td", { className: "number", textContent: new Date(each.start).toLocaleTimeString() }),
    make("td", { className: "number", textContent: duration(each.end - each.start) }),
    make("td", { textContent: words(each.activity) }),
    make("td", { className: "number", textContent: percent(each.confidence) }))));
}

at("search").addEventListener("input", async () => {
  const query = new URLSearchParams({ query: at("search").value });
  showFleet(await (await request(`/fleet?${query}`)).json());
});
addEventListener("hashchange", () => {
  const device = takeFragment().get("device");
  if (device && device !== chosen) choose(device);
});
if (chosen) choose(chosen);
watchFleet();
