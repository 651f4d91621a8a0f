// A dev server in front of another: it hands on what it is asked, and compresses what may be. Tells its
// port; ends with stdin.
//
// node compress.mjs URL

import http from 'node:http';
import compression from 'compression';

const compress = compression();

const server = http.createServer((request, response) =>
  compress(request, response, () => {
    const { method, headers } = request;
    const asked = http.request(new URL(request.url, process.argv[2]), { method, headers }, answer => {
      response.writeHead(answer.statusCode, { ...answer.headers, server: 'dev' });
      answer.pipe(response);
    });
    response.on('close', () => asked.destroy());
    asked.on('error', () => response.destroy());
    request.pipe(asked);
  }));
server.listen(0, '127.0.0.1', () =>
  console.log(JSON.stringify({ event: 'ready', port: server.address().port })));
process.stdin.on('end', () => process.exit()).resume();
