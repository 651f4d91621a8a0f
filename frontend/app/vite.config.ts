import { fileURLToPath } from 'node:url';
import type { OutputAsset, OutputChunk } from 'rollup';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Puts script and style into the page, so that it is one file: one request, and a policy by hashes. */
function oneFile(): Plugin {
  return {
    name: 'one-file',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const files = Object.values(bundle);
      const take = (end: string) => {
        const file = files.find(({ fileName }) => fileName.endsWith(end))!;
        if (end !== '.html') delete bundle[file.fileName];
        return file;
      };
      const html = take('.html') as OutputAsset;
      const { code } = take('.js') as OutputChunk;
      const css = String((take('.css') as OutputAsset).source);
      if (Object.keys(bundle).length > 1)
        this.error('There is more than one script and one style.');
      // Neither may seem to end within a string; functions, since `$&` is a pattern.
      const script = code.replace(/<(?=\/script|!--|script)/gi, '\\x3c').trim();
      html.source = String(html.source)
        .replace(/\s*<link rel="stylesheet"[^>]*>/, '')
        .replace(/\s*<script[^>]*><\/script>/, '')
        .replace('</head>', () => `<style>${css.trim()}</style></head>`)
        .replace('</body>', () => `<script type="module">${script}</script></body>`);
    },
  };
}

export default defineConfig({
  plugins: [oneFile()],
  resolve: {
    alias: {
      'pushwire/react': path('../client/src/react.ts'),
      'pushwire/testing': path('../client/src/testing.ts'),
      pushwire: path('../client/src/index.ts'),
    },
  },
  server: { port: 3000, strictPort: true },
  build: {
    outDir: path('../../build-frontend'),
    emptyOutDir: false,
    target: 'es2022',
    modulePreload: false,
    reportCompressedSize: false,
  },
  test: { include: ['test/*.test.ts'] },
});
