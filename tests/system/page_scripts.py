"""What tests of the page run inside it."""

EPOCHS = """async () => {
    const { Epochs } = await import("/static/epochs.js");
    const e = new Epochs(4), seen = [];
    seen.push(e.next(), e.accepts(4), e.accepts(5), e.accepts(7), e.accepts(6), e.learn(3), e.newest);
    seen.push(e.learn(9), e.isCurrent(8), e.isCurrent(9), e.accepts("9"), e.accepts(undefined), e.discarded);
    return seen;
}"""

FRAMES = """async () => {
    const { frameOf, Outgoing, Ladder } = await import("/static/frames.js");
    const bytes = new Uint8Array([7, 8, 9]).buffer;
    const chunk = (segment, index) => ({ segment, index, tMs: 0, bytes });
    const framed = [...new Uint8Array(frameOf({ segment: 258, index: 3, tMs: 1.5, bytes }))];
    const out = new Outgoing(12), took = [];
    for (let i = 0; i < 4; i += 1) out.put(chunk(1, i));
    out.window = 2;
    const take = () => took.push(out.take(0, 10)?.index ?? null);
    take(); take(); take(); out.pushed(1, 0, 2); take();
    took.push(out.take(11, 10)); out.pushed(9, 50, 2); take();
    out.restart(); out.put(chunk(1, 4)); out.put(chunk(2, 0)); take();
    const ladder = new Ladder(2000, 30000, 4000), rungs = [];
    const told = [[3e3, 5e3], [3e3, 6e3], [3e3, 1e4], [0, 2e4], [0, 41e3], [0, 42e3], [0, 8e4]];
    for (const [lag, now] of told) rungs.push(ladder.see(lag, now));
    return { framed, took, rungs };
}"""

KEEP_TRACKS = """() => {
    const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
    window.tracks = [];
    devices.getUserMedia = async (wants) => {
        const stream = await open(wants);
        window.tracks.push(...stream.getTracks());
        return stream;
    };
}"""

KEEP_NOTIFICATIONS = """() => {
    window.shown = [];
    window.Notification = class {
        constructor(...all) { window.shown.push(all); }
        static permission = "granted";
        static async requestPermission() { return "granted"; }
    };
}"""

FOCUSED = """() => {
    const at = document.activeElement, style = getComputedStyle(at);
    const isSeen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    return [at.id || at.hash || at.className || at.tagName, isSeen, at.tagName];
}"""

NAMELESS = """() => {
    const named = (one) => one.innerText.trim() || one.getAttribute("aria-label") || one.labels?.length
        || one.getAttribute("aria-labelledby");
    const all = document.querySelectorAll("button, input, select, a, summary, [role=region]");
    return [...all].filter((one) => one.checkVisibility() && !named(one)).map((one) => one.outerHTML);
}"""

FAKE_VOICE = """
(() => {
    const spoken = [];
    const engine = {
        paused: false, waiting: [], spoken, acts: [],
        speak(one) { this.waiting.push(one); spoken.push(one.text); setTimeout(() => one.onstart?.({}), 0); },
        pause() { this.paused = true; this.acts.push(["pause", performance.now()]); },
        resume() { this.paused = false; this.acts.push(["resume", performance.now()]); },
        cancel() {
            this.acts.push(["cancel", performance.now()]);
            for (const one of this.waiting.splice(0)) setTimeout(() => one.onend?.({}), 0);
        },
        getVoices() { return []; },
    };
    Object.defineProperty(window, "speechSynthesis", { value: engine });
    window.SpeechSynthesisUtterance = function (text) { this.text = text; };
})();
"""
"""Speech synthesis that says nothing but writes down what it was told: this machine has no voices."""
