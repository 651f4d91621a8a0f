import { defineConfig } from 'vite';

export default defineConfig({
  esbuild: { jsx: 'automatic' },
  resolve: { dedupe: ['react'] }, // the client is linked, and has a React of its own beside it
});
