// A browser starts no worker for a page that is opened as a file. There the search of the site runs
// in a hidden frame. The theme knows such a script by this name.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.loaded = new Promise((resolve) => {
        frame.addEventListener("load", () => {
          frame.contentWindow.postMessage = (data) => this.answer(data);
          resolve(frame.contentWindow);
        });
      });
      frame.srcdoc = `<script src="${new URL(url, location.href)}"></script>`;
      document.body.append(frame);
    }

    answer(data) {
      const event = new MessageEvent("message", { data });
      this.dispatchEvent(event);
      this.onmessage?.(event);
    }

    async postMessage(data) {
      (await this.loaded).dispatchEvent(new MessageEvent("message", { data }));
    }

    terminate() {}
  };
}
