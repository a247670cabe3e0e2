// Runs on the browser's audio thread: gathers its blocks of 128 samples to frames of 20 ms.

class Frames extends AudioWorkletProcessor {
  frame = new Int16Array(Math.round(sampleRate / 50));
  filled = 0;

  process([channels]) {
    for (const sample of channels[0] ?? []) {
      this.frame[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.filled === this.frame.length) {
        const whole = this.frame.slice().buffer;
        this.port.postMessage(whole, [whole]);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("frames", Frames);
