// Plays an answer's chunks without a gap, and knows how much of it was heard.

/** How often the server is told, in milliseconds. */
const REPORT_MS = 250;
/** Behind a pause a chunk begins so much later than now, in seconds: jitter is not heard. */
const HEADROOM_S = 0.05;

export class Speaker {
  /** `report` gets (utteranceId, playedMs) while something is played. */
  constructor(context, report) {
    this.context = context;
    this.report = report;
    this.utteranceId = null;
    this.pieces = []; // {source, atS, lengthS} on the context's clock
    this.timer = null;
  }

  /** Takes any event of the server's; those that are not about speech are passed over. */
  take({ eventType, payload }) {
    if (eventType === "audio.output.start") this.begin(payload.utteranceId);
    else if (eventType === "audio.output.chunk") this.queue(payload);
    else if (eventType === "audio.output.cancel") this.stop(payload.utteranceId);
  }

  begin(utteranceId) {
    this.stop(this.utteranceId);
    this.utteranceId = utteranceId;
    this.timer = setInterval(() => {
      this.report(utteranceId, this.playedMs());
      const last = this.pieces.at(-1);
      // A second later nothing more has come: it was all of it.
      if (last && this.context.currentTime > last.atS + last.lengthS + 1) clearInterval(this.timer);
    }, REPORT_MS);
  }

  queue({ utteranceId, audio, sampleRate }) {
    if (utteranceId !== this.utteranceId) return;
    const samples = new Int16Array(audio.slice().buffer); // a copy: the view may begin at an odd byte
    const buffer = this.context.createBuffer(1, samples.length, sampleRate);
    buffer.getChannelData(0).set(Float32Array.from(samples, (sample) => sample / 32768));
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    const last = this.pieces.at(-1);
    const readyS = last ? last.atS + last.lengthS : 0;
    const nowS = this.context.currentTime;
    const atS = readyS > nowS ? readyS : nowS + HEADROOM_S;
    source.start(atS);
    this.pieces.push({ source, atS, lengthS: buffer.duration });
  }

  /** What has left the loudspeaker of this utterance, by the audio hardware's clock. */
  playedMs() {
    const nowS = this.context.currentTime - (this.context.outputLatency || 0);
    const heardS = ({ atS, lengthS }) => Math.min(Math.max(nowS - atS, 0), lengthS);
    return 1000 * this.pieces.reduce((sum, piece) => sum + heardS(piece), 0);
  }

  /** Be silent at once, if it is this utterance that is played, and say how far it came. */
  stop(utteranceId) {
    if (utteranceId === null || utteranceId !== this.utteranceId) return;
    this.report(utteranceId, this.playedMs());
    for (const { source } of this.pieces) source.stop();
    clearInterval(this.timer);
    this.pieces = [];
    this.utteranceId = null;
  }
}
