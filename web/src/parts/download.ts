import { notice } from '../state/notice.svelte';

/** Saves a file from the page. */
export function download(name: string, content: Blob) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A file's name for a title: "Requests by URL" → "clover-requests-by-url". */
export const fileName = (title: string): string =>
  `clover-${title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')}`;

/** Saves a picture under its title. */
export async function savePicture(title: string, picture: () => Promise<Blob | undefined>) {
  // Browsers refuse pictures that are too large for them.
  const file = await picture().catch(() => undefined);
  if (file) download(`${fileName(title)}.png`, file);
  else notice.say('The browser cannot make a picture of this.', true);
}
