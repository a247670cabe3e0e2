// The protocol, and nothing else: MessagePack maps over a WebSocket.
import { decode, encode } from "@msgpack/msgpack";

/** Who hangs up waits so long for the server's goodbye, in milliseconds. */
const GOODBYE_MS = 3000;

/**
 * Open a call.
 *
 * `onEvent` gets every event of the server that is no answer to a request, `onClose` the code and
 * the reason when it is over. `signal` gives the call up while it is being opened.
 * Resolves when the server has said who we are; rejects when it cannot be reached.
 */
export function openCall(url, onEvent, onClose = () => {}, signal = undefined) {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  signal?.addEventListener("abort", () => socket.close());
  let goodbye; // a timer: a network that is gone brings none
  const asked = new Map(); // eventId → the promise that waits for its ack
  let sessionId = null;
  let eventNumber = 0;

  function send(eventType, payload = {}) {
    const eventId = `${sessionId}/${eventNumber++}`; // any text of up to 128 characters
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(encode({ eventType, eventId, sessionId, payload }));
    }
    return eventId;
  }

  function ask(eventType, payload) {
    if (socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error("the call is over"));
    return new Promise((resolve, reject) => {
      asked.set(send(eventType, payload), { resolve, reject });
    });
  }

  const call = {
    start: (options) => ask("audio.input.start", options),
    audio: (pcm) => send("audio.input.chunk", { audio: pcm }), // Uint8Array
    end: () => ask("audio.input.end"),
    played: (utteranceId, playedMs) => send("audio.output.played", { utteranceId, playedMs }),
    interrupt: () => send("user.action.interrupt"),
    hangUp: () => {
      send("user.action.end_call");
      goodbye ??= setTimeout(() => {
        socket.close();
        socket.onclose?.({ code: 1006, reason: "" }); // browsers would wait for it much longer
        socket.onclose = null;
      }, GOODBYE_MS);
    },
  };

  return new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      const event = decode(new Uint8Array(data));
      if (event.eventType === "connection.lifecycle.ack") {
        sessionId = event.sessionId;
        resolve(call);
        return;
      }
      const waiting = asked.get(event.eventId);
      if (waiting) {
        asked.delete(event.eventId);
        if ("requestType" in event) waiting.reject(new Error(event.payload.message));
        else waiting.resolve();
      } else onEvent(event);
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(goodbye);
      const error = new Error(
        sessionId === null && code === 1006
          ? `${url} cannot be reached`
          : `closed: ${code} ${reason}`,
      );
      reject(error); // has no effect once the call is open
      for (const waiting of asked.values()) waiting.reject(error);
      onClose(code, reason);
    };
    socket.onerror = () => {}; // a close follows
  });
}
