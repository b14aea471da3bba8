// The sound level of a microphone, and the first sign of speech in it.

export class Level {
  /** @param {{level: (db: number, isSpeech: boolean) => void, speech: () => void}} hears */
  constructor(hears) {
    this.hears = hears;
    this.context = null;
  }

  /** Listen to the sound tracks of a stream; nothing is played. */
  async follow(stream) {
    this.stop();
    if (!stream.getAudioTracks().length) return;
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    await context.audioWorklet.addModule("/static/level-worklet.js");
    if (this.context !== context) return;
    const node = new AudioWorkletNode(context, "speech-level", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => {
      if (data.type === "speech") this.hears.speech();
      else this.hears.level(data.db, data.isSpeech);
    };
    context.createMediaStreamSource(stream).connect(node);
    if (context.state === "suspended") await context.resume();
  }

  stop() {
    this.context?.close();
    this.context = null;
    this.hears.level(-100, false);
  }
}
