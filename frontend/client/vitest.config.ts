import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

// The hooks are tested with both versions of React, all else once.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'core', include: ['test/*.test.ts'] } },
      { test: { name: 'react-19', include: ['test/*.test.tsx'], environment: 'jsdom' } },
      {
        resolve: {
          alias: {
            react: path('test/react-18/node_modules/react'),
            'react-dom': path('test/react-18/node_modules/react-dom'),
          },
        },
        test: { name: 'react-18', include: ['test/*.test.tsx'], environment: 'jsdom' },
      },
    ],
  },
});
