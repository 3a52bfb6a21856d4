import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';

export default ts.config(
  { ignores: ['dist', 'e2e', 'node_modules'] },
  js.configs.recommended,
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  {
    languageOptions: { globals: globals.browser },
    rules: {
      // The policy forbids inline styles, and names from traffic are hostile.
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: 'use elements and text' },
        { property: 'outerHTML', message: 'use elements and text' },
      ],
      'svelte/no-at-html-tags': 'error',
      // Styles go through CSSOM (style:name), never through an attribute.
      'no-restricted-syntax': [
        'error',
        {
          selector: "SvelteAttribute[key.name='style']",
          message: "use a style directive: the page's policy forbids attributes",
        },
      ],
    },
  },
  { files: ['**/*.svelte', '**/*.svelte.ts'], languageOptions: { parserOptions: { parser: ts.parser } } },
  { files: ['*.js', '*.ts'], languageOptions: { globals: globals.node } },
);
