const measure = () => Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 14;
let size = $state(measure());

window.addEventListener('resize', () => (size = measure()));

/** Pixels of so many rem, whole: rows of virtual lists have one height. */
export const px = (rem: number): number => Math.round(rem * size);
