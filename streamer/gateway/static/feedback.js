// "Wrong? Say what it was": sends ground truth about the stretch that the page shows.

import { make, request, say, words } from "./gateway.js";

export class Feedback {
  /** Use the parts of the page: the button, the group of choices, and the line that answers. */
  constructor(device, { button, choices, answer }) {
    this.device = device;
    this.parts = { button, choices, answer };
    this.stretch = null;
    button.addEventListener("click", () => this.toggle());
  }

  /** Take over the stretch from the first window with the label that is shown to the newest one. */
  show(start, end) {
    this.stretch = { start, end };
    this.parts.button.hidden = false;
  }

  hide() {
    this.stretch = null;
    this.parts.button.hidden = true;
    this.open(false);
  }

  async toggle() {
    if (!this.parts.choices.hidden) return this.open(false);
    if (!this.parts.choices.children.length) {
      try {
        const { activities } = await (await request("/labels")).json();
        for (const activity of activities) {
          const choice = make("button", { type: "button", textContent: words(activity) });
          choice.addEventListener("click", () => this.send(activity, this.stretch));
          this.parts.choices.append(choice);
        }
      } catch {
        say(this.parts.answer, "The gateway does not answer. Try again.");
        return;
      }
    }
    this.open(true);
  }

  open(shown) {
    this.parts.choices.hidden = !shown;
    this.parts.button.setAttribute("aria-expanded", String(shown));
  }

  async send(activity, stretch) {
    this.open(false);
    if (!stretch) return;
    const seconds = Math.round((stretch.end - stretch.start) / 1000);
    try {
      await request(`/labels/${encodeURIComponent(this.device)}`, {
        method: "POST",
        body: JSON.stringify({ ...stretch, activity, by: "phone page" }),
      });
      say(this.parts.answer, `Noted: ${words(activity)} for ${seconds} s.`);
    } catch (error) {
      say(this.parts.answer, `Not noted. ${error.message}`);
    }
  }
}
