const state = $state({ text: '', bad: false });
let timer: ReturnType<typeof setTimeout> | undefined;

/** A short message at the foot of the page, read out to those who cannot see. */
export const notice = {
  get text() {
    return state.text;
  },
  get bad() {
    return state.bad;
  },
  say(text: string, bad = false) {
    state.text = text;
    state.bad = bad;
    clearTimeout(timer);
    timer = setTimeout(() => (state.text = ''), bad ? 12_000 : 5000);
  },
};

/** Copies a text and says so. */
export async function copy(text: string, what: string) {
  try {
    await navigator.clipboard.writeText(text);
    notice.say(`${what} copied: ${text}`);
  } catch {
    // Browsers allow the clipboard only on loopback and by TLS.
    notice.say(`The browser does not allow copying here. ${what}: ${text}`, true);
  }
}
