// Both documents of docs/api by the linters of their makers; silent where nothing is to be said.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { createConfig, formatProblems, lint } from '@redocly/openapi-core';
import { Parser } from '@asyncapi/parser';

const folder = new URL('../../docs/api/', import.meta.url);
const place = name => fileURLToPath(new URL(name, folder));

async function lintOpenapi() {
  const config = await createConfig({
    extends: ['recommended-strict'],
    rules: {
      // A handshake is answered by 101, which the rule does not know.
      'operation-2xx-response': 'off',
    },
  });
  const problems = await lint({ ref: place('openapi.yaml'), config });
  formatProblems(problems, { format: 'codeframe', totals: { errors: 0, warnings: 0, ignored: 0 } });
  return problems.length;
}

async function lintAsyncapi() {
  const parser = new Parser();
  const source = await readFile(place('asyncapi.yaml'), 'utf8');
  const { diagnostics } = await parser.parse(source, { source: place('asyncapi.yaml') });
  const said = diagnostics.filter(({ code }) => code !== 'asyncapi-latest-version'); // 3.0 is what tools read
  for (const { message, path, range, code } of said)
    console.error(`asyncapi.yaml:${range.start.line + 1}: ${code}: ${message} (${path.join('.')})`);
  return said.length;
}

process.exitCode = (await lintOpenapi()) + (await lintAsyncapi()) ? 1 : 0;
