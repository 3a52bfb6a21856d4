import { mount } from 'svelte';
import App from './shell/App.svelte';
import './app.css';

// Where the policy demands trusted types: libraries may empty an element, and
// nothing may write markup. (Svelte has a policy of its own for its templates.)
declare global {
  interface Window {
    trustedTypes?: {
      createPolicy(name: string, rules: { createHTML: (s: string) => string | null }): unknown;
    };
  }
}
window.trustedTypes?.createPolicy('default', { createHTML: (s) => (s === '' ? '' : null) });

const target = document.getElementById('app');
if (target) mount(App, { target });
