import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const hooks = (major: string) => ({
  name: `react-${major}`,
  include: ['test/react*.test.tsx'],
  environment: 'jsdom',
  env: { REACT: major },
});

// The hooks are tested with both versions of React, all else once.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'core', include: ['test/*.test.ts'] } },
      { test: { name: 'entries', include: ['test/entries.test.tsx'], environment: 'jsdom' } },
      { test: hooks('19') },
      {
        test: hooks('18'),
        resolve: {
          alias: {
            react: path('test/react-18/node_modules/react'),
            'react-dom': path('test/react-18/node_modules/react-dom'),
          },
        },
      },
    ],
  },
});
