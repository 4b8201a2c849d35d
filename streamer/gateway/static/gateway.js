// What both pages need: the token, requests, streams of events, and words for activities.

const ACTIVITIES = new Set([
  "walking", "walking_upstairs", "walking_downstairs", "jogging", "sitting", "standing", "laying", "unknown",
]);

/** Return the values after the # of the address. They are never sent to a server. */
export function takeFragment() {
  const values = new URLSearchParams(location.hash.slice(1));
  if (values.has("token")) {
    sessionStorage.setItem("token", values.get("token"));
    values.delete("token");
    const rest = values.toString();
    history.replaceState(null, "", rest ? `#${rest}` : location.pathname);
  }
  return values;
}

export function token() {
  return sessionStorage.getItem("token");
}

export class Refused extends Error {}

/** Request a path with the token of this tab; throw Refused if it is not good for the path. */
export async function request(path, options = {}) {
  const headers = { ...options.headers };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  const response = await fetch(path, { ...options, headers, cache: "no-store" });
  if (response.status === 401 || response.status === 403) throw new Refused(await response.text());
  if (!response.ok) throw new Error(`${response.status} ${(await response.text()).slice(0, 200)}`);
  return response;
}

/**
 * Follow server-sent events until the signal aborts, and connect again where they stopped.
 *
 * EventSource cannot send a token in a header, so this reads the stream itself.
 */
export async function follow(path, signal, onMessage, onState = () => {}) {
  let lastId = "";
  while (!signal.aborted) {
    try {
      const response = await request(path, { signal, headers: lastId ? { "Last-Event-ID": lastId } : {} });
      onState("live");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const blocks = text.split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const fields = new Map(block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)));
          if (fields.has("id")) lastId = fields.get("id");
          if (fields.has("data")) onMessage(fields.get("event") ?? "message", JSON.parse(fields.get("data")));
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) {
        onState("refused");
        return;
      }
    }
    onState("lost");
    await pause(1500, signal);
  }
}

export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

/** Return the name of an activity for people. */
export function words(activity) {
  return activity.replaceAll("_", " ");
}

/** Return the name of the class and of the colour of an activity. */
export function colour(activity) {
  return ACTIVITIES.has(activity) ? activity.replaceAll("_", "-") : "other";
}

export function percent(share) {
  return share === null || share === undefined ? "–" : `${Math.round(share * 100)} %`;
}

export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Make an element with properties and children. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Put a text where it is not yet: what has not changed is not read aloud again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show the form that asks for a token, and reload the page with it. */
export function askForToken(form) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", form.elements.token.value.trim());
    location.reload();
  });
  form.elements.token.focus();
}
