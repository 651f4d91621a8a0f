// Makes the pages of docs/ that the server carries, and docs/api as JSON. docs/pages.json lists them.
//
//   node build.mjs OUTPUT_FOLDER
//
// Each page is one file without script; its style is docs/design-page.md's.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { posix } from 'node:path';
import MarkdownIt from 'markdown-it';
import { parse } from 'yaml';

const root = new URL('../../', import.meta.url);
const read = name => readFile(new URL(name, root), 'utf8');
const out = process.argv[2];

const { about, pages } = JSON.parse(await read('docs/pages.json'));
const style = (await read('frontend/base.css')) + (await read('frontend/site/style.css'));

// ---- Markdown ----

const markdown = new MarkdownIt({ html: false, typographer: false });
const escape = markdown.utils.escapeHtml;

/** As GitHub names a heading, so that the files' own links hold. */
function slug(text, taken) {
  const name = text
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}\p{Pc} -]/gu, '')
    .replaceAll(' ', '-');
  let made = name;
  for (let n = 1; taken.has(made); n++) made = `${name}-${n}`;
  taken.add(made);
  return made;
}

/** Where a link of the file `from` leads on the server; undefined: to nothing that it carries. */
function target(href, from) {
  if (/^(https?:|mailto:|#|\/)/.test(href)) return href;
  const [path, anchor] = href.split('#');
  const file = posix.normalize(posix.join(posix.dirname(from), decodeURI(path)));
  if (posix.dirname(file) === 'docs/api') return `/${posix.basename(file)}`;
  const page = pages.find(one => one.file === file);
  return page && `/docs/${page.name}${anchor ? `#${anchor}` : ''}`;
}

/** Names the headings, and turns links to files into links to pages, or into plain text. */
function prepare(tokens, from) {
  const taken = new Set();
  const headings = [];
  for (const [at, token] of tokens.entries()) {
    if (token.type === 'heading_open') {
      const text = tokens[at + 1].children
        .filter(({ type }) => type === 'text' || type === 'code_inline')
        .map(({ content }) => content)
        .join('');
      const id = slug(text, taken);
      token.attrSet('id', id);
      headings.push({ level: Number(token.tag[1]), id, text, html: tokens[at + 1] });
    }
    const open = [];
    for (const child of token.children ?? []) {
      if (child.type === 'link_open') {
        const href = target(child.attrGet('href'), from);
        if (href) child.attrSet('href', href);
        else child.hidden = true;
        open.push(child.hidden);
      } else if (child.type === 'link_close') child.hidden = open.pop();
    }
  }
  return headings;
}

const { rules } = markdown.renderer;
// What goes nowhere here is text.
for (const name of ['link_open', 'link_close'])
  rules[name] = (tokens, at, options, _, self) =>
    tokens[at].hidden ? '' : self.renderToken(tokens, at, options);
rules.image = (tokens, at) => escape(tokens[at].content);
// Tables scroll by themselves; and so that the keyboard can scroll what the pointer can:
rules.table_open = () => '<div class="wide" tabindex="0"><table>\n';
rules.table_close = () => '</table></div>\n';
rules.fence = (tokens, at) =>
  `<pre tabindex="0"><code>${escape(tokens[at].content)}</code></pre>\n`;
rules.code_block = rules.fence;
rules.heading_open = (tokens, at) => `<${tokens[at].tag} id="${tokens[at].attrGet('id')}">`;
rules.heading_close = (tokens, at) => {
  const id = tokens
    .slice(0, at)
    .findLast(({ type }) => type === 'heading_open')
    .attrGet('id');
  return ` <a class="here" href="#${id}" aria-label="Link to this section">#</a></${tokens[at].tag}>\n`;
};

// ---- pages ----

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%230b6b5c'/%3E%3Cpath d='M3 8h6M7 4l4 4-4 4M13 4v8' fill='none' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E";

function list(current) {
  const items = pages.map(
    ({ name, title }) =>
      `<li><a href="/docs/${name}"${name === current ? ' aria-current="page"' : ''}>${escape(title)}</a></li>`,
  );
  return `<ul>${items.join('')}</ul>`;
}

function contents(headings) {
  const shown = headings.slice(1).filter(({ level }) => level < 4);
  if (shown.length < 3) return '';
  const items = shown.map(
    ({ id, level, html }) =>
      `<li class="l${level}"><a href="#${id}">${markdown.renderer.renderInline(html.children, markdown.options, {})}</a></li>`,
  );
  return `<details class="contents"><summary>On this page</summary><ul>${items.join('')}</ul></details>`;
}

function around(name) {
  const at = pages.findIndex(page => page.name === name);
  const link = (page, rel, arrow) =>
    page
      ? `<a rel="${rel}" href="/docs/${page.name}">${arrow(escape(page.title))}</a>`
      : '<span></span>';
  return `<nav class="around" aria-label="Before and after">${link(pages[at - 1], 'prev', text => `← ${text}`)}${link(pages[at + 1], 'next', text => `${text} →`)}</nav>`;
}

function frame(title, current, main) {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(title)} · Pushwire</title>
<link rel="icon" href="${icon}">
<style>${style.trim()}</style>
</head>
<body>
<header>
<a class="skip" href="#main">To the content</a>
<a class="name" href="/docs"><span class="mark"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 8h7M6 4l4 4-4 4M13 3v10"/></svg></span>Pushwire</a>
<a class="back" href="/">Open the page</a>
</header>
<div class="columns">
<nav class="pages" aria-label="Pages">${list(current)}</nav>
<main id="main" tabindex="-1">
<details class="pages"><summary>All pages</summary><nav aria-label="All pages">${list(current)}</nav></details>
${main}
</main>
</div>
</body>
</html>
`;
}

function page({ name, file, title }, source) {
  const tokens = markdown.parse(source.replace(/<!--.*?-->/gs, ''), {});
  const headings = prepare(tokens, file);
  // Behind the first heading: what follows can be jumped to.
  const first = tokens.findIndex(({ type }) => type === 'heading_close') + 1;
  const render = part => markdown.renderer.render(part, markdown.options, {});
  return frame(
    title,
    name,
    `<article>${render(tokens.slice(0, first))}${contents(headings)}${render(tokens.slice(first))}</article>
${around(name)}
<p class="source"><a href="/docs/${name}.md">This page as Markdown</a></p>`,
  );
}

function index() {
  const items = pages.map(
    ({ name, title, about }) =>
      `<li><a href="/docs/${name}"><b>${escape(title)}</b><span>${escape(about)}</span></a></li>`,
  );
  return frame(
    'Documentation',
    undefined,
    `<article><h1>Documentation</h1><p>${escape(about)}</p><ul class="cards">${items.join('')}</ul>
<h2>For programs</h2><p><a href="/openapi.yaml">OpenAPI</a> (<a href="/openapi.json">JSON</a>) and <a href="/asyncapi.yaml">AsyncAPI</a> (<a href="/asyncapi.json">JSON</a>) describe the API and the frames; <a href="/llms.txt">llms.txt</a> lists these pages as Markdown.</p></article>`,
  );
}

await rm(out, { recursive: true, force: true });
await mkdir(`${out}/docs`, { recursive: true });
for (const one of pages)
  await writeFile(`${out}/docs/${one.name}.html`, page(one, await read(one.file)));
for (const name of ['openapi', 'asyncapi'])
  await writeFile(
    `${out}/${name}.json`,
    JSON.stringify(parse(await read(`docs/api/${name}.yaml`))),
  );
// Last: scripts/frontend takes it for the sign that all are there.
await writeFile(`${out}/docs.html`, index());
