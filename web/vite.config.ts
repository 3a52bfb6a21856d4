import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// CLOVER is the server that `npm run dev` passes API calls on to.
const server = process.env.CLOVER ?? 'http://127.0.0.1:32044';

export default defineConfig({
  plugins: [svelte()],
  // Relative addresses, so that the page also works behind a path prefix.
  base: './',
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // No asset becomes a data: address: the policy allows none.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 800,
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': { target: server, changeOrigin: true } },
  },
  test: { include: ['src/**/*.test.ts'] },
});
