// Writes the types of docs/api/openapi.yaml, as TypeScript, to the file that is named; with --check it
// says whether they are there already.
import { readFile, writeFile } from 'node:fs/promises';
import { parseYaml } from '@redocly/openapi-core';
import openapiTS, { astToString } from 'openapi-typescript';

const [place, check] = process.argv.slice(2);
const document = parseYaml(
  await readFile(new URL('../../docs/api/openapi.yaml', import.meta.url), 'utf8'),
);
const { openapi, info, components } = document;
const schemas = { openapi, info, paths: {}, components: { schemas: components.schemas } };
const ast = await openapiTS(schemas, { rootTypes: true, rootTypesNoSchemaPrefix: true });
const made = `// Made by scripts/sdk-types of docs/api/openapi.yaml; do not edit.\n\n${astToString(ast)}`;

if (!check) await writeFile(place, made);
else if ((await readFile(place, 'utf8').catch(() => '')) !== made) {
  console.error(`${place} is not what docs/api/openapi.yaml says: run scripts/sdk-types`);
  process.exitCode = 1;
}
