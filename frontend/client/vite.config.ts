import { defineConfig } from 'vite';

// The core as one module, which the server has at /client.js: `vite build --outDir FOLDER`.
export default defineConfig({
  build: {
    target: 'es2022',
    lib: { entry: 'src/index.ts', formats: ['es'], fileName: () => 'client.js' },
    minify: 'esbuild',
    emptyOutDir: false,
  },
});
