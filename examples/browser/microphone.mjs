// The microphone, as frames of 16-bit PCM at the device's own rate.

/** The protocol's highest rate. */
const MAX_HZ = 48000;

/** A clock and a loudspeaker at the device's rate, or at the highest one that may be sent. */
export function openContext() {
  const context = new AudioContext();
  if (context.sampleRate <= MAX_HZ) return context;
  context.close();
  return new AudioContext({ sampleRate: MAX_HZ });
}

/**
 * Listen. `onFrame` gets a Uint8Array with each 20 ms. Returns a function that ends it.
 *
 * Rejects with what the browser says if there is no microphone, or if it may not be used.
 */
export async function openMicrophone(context, onFrame) {
  if (!navigator.mediaDevices) {
    throw new Error("browsers give a microphone only to pages from https:// or localhost");
  }
  // Without echo cancellation the server would hear its own answer and reply to it.
  const media = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  }).catch((error) => { throw new Error(`the microphone: ${error.message}`); });
  const close = () => media.getTracks().forEach((track) => track.stop());
  await context.audioWorklet
    .addModule(new URL("./frames.mjs", import.meta.url))
    .catch((error) => { close(); throw error; });
  const frames = new AudioWorkletNode(context, "frames", { numberOfOutputs: 0 });
  frames.port.onmessage = ({ data }) => onFrame(new Uint8Array(data));
  context.createMediaStreamSource(media).connect(frames);
  return close;
}
