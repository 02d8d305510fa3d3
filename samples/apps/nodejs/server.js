'use strict';
// Answers every request with a greeting as JSON, on the port in $PORT or on 8080.
const http = require('node:http');
const ms = require('ms');

const port = Number(process.env.PORT || 8080);
const started = Date.now();

http
  .createServer((request, response) => {
    const up = ms(Date.now() - started, { long: true });
    response.setHeader('Content-Type', 'application/json');
    response.end(`${JSON.stringify({ greeting: 'Hello from Slipway', path: request.url, up, node: process.version })}\n`);
  })
  .listen(port, () => console.log(`listening on port ${port}`));

// As the first process of a container it gets no default handler from the kernel.
process.on('SIGTERM', () => process.exit(0));
