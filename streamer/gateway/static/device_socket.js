// The WebSocket of a device: sends readings until Kafka has them, and brings labels.

const MOST_WAITING = 1200;
const MOST_UNACKNOWLEDGED = 32;
const RETRY_MS = 1500;

export class DeviceSocket {
  /**
   * @param device id of the device.
   * @param token of the device; null where the gateway needs none.
   * @param heard is called with what happens: {state}, {acknowledged}, {event}, {error}, {dropped}.
   */
  constructor(device, token, heard) {
    this.device = device;
    this.token = token;
    this.heard = heard;
    this.waiting = [];
    this.sent = [];
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    // A browser cannot send headers with a WebSocket.
    const protocols = ["streamer", ...(this.token ? [`bearer.${this.token}`] : [])];
    const socket = new WebSocket(`${scheme}://${location.host}/ws/${encodeURIComponent(this.device)}`, protocols);
    this.socket = socket;
    this.number = 0;
    let wasOpen = false;
    socket.addEventListener("open", () => {
      wasOpen = true;
      this.heard({ state: "live" });
      this.sendWaiting();
    });
    socket.addEventListener("message", ({ data }) => this.hear(JSON.parse(data)));
    socket.addEventListener("close", () => {
      if (socket !== this.socket) return;
      // What Kafka may not have is sent again; a repeated sample counts once.
      this.waiting.unshift(...this.sent.map(({ text, samples }) => ({ text, samples })));
      this.sent = [];
      this.heard({ state: wasOpen ? "lost" : "refused" });
      this.timer = setTimeout(() => this.open(), RETRY_MS);
    });
  }

  close() {
    const { socket } = this;
    this.socket = null;
    clearTimeout(this.timer);
    socket.close();
  }

  send(text, samples) {
    this.waiting.push({ text, samples });
    if (this.waiting.length > MOST_WAITING) this.heard({ dropped: this.waiting.shift().samples });
    this.sendWaiting();
  }

  sendWaiting() {
    while (this.socket?.readyState === WebSocket.OPEN && this.waiting.length && this.sent.length < MOST_UNACKNOWLEDGED) {
      const { text, samples } = this.waiting.shift();
      this.socket.send(text);
      this.sent.push({ number: ++this.number, text, samples });
    }
  }

  hear(message) {
    if (message.event) this.heard({ event: message.event });
    if (message.error && message.retry_after_s) {
      // It comes again with all that is not acknowledged, in order, on a new connection.
      this.socket.close();
    } else if (message.error) {
      this.sent = this.sent.filter(({ number }) => number !== message.message);
      this.heard({ error: message });
    }
    if (message.ack) {
      let acknowledged = 0;
      while (this.sent.length && this.sent[0].number <= message.ack) acknowledged += this.sent.shift().samples;
      this.heard({ acknowledged });
    }
    this.sendWaiting();
  }
}
