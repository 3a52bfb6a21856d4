/** Who reads the page, and what they may do. */
export interface Session {
  user: string;
  /** The browser has signed in, and can sign out. */
  signedIn: boolean;
  mayUpdate: boolean;
  mayDelete: boolean;
}

let current = $state.raw<Session>({ user: '', signedIn: false, mayUpdate: true, mayDelete: true });

/** Asks who reads. A server that does not know lets the API itself refuse. */
export async function loadSession(): Promise<void> {
  try {
    const answer = await fetch('session', { headers: { Accept: 'application/json' } });
    if (!answer.ok) return;
    const s = (await answer.json()) as Record<string, unknown>;
    current = {
      user: typeof s.user === 'string' ? s.user : '',
      signedIn: s.signed_in === true,
      mayUpdate: s.may_update !== false,
      mayDelete: s.may_delete !== false,
    };
  } catch {
    // Nobody is known; the page works all the same.
  }
}

export const session = {
  get user() {
    return current.user;
  },
  get signedIn() {
    return current.signedIn;
  },
  get mayUpdate() {
    return current.mayUpdate;
  },
  get mayDelete() {
    return current.mayDelete;
  },
};
