// An echo server in Node. Usage: echo.js HOST PORT. Serves until SIGTERM, and exits with 0.
'use strict';
const net = require('net');

const server = net.createServer({ noDelay: true, allowHalfOpen: false }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes) => {
    if (!socket.write(bytes)) socket.pause();
  });
  socket.on('drain', () => socket.resume());
});
server.listen({ host: process.argv[2], port: Number(process.argv[3]), backlog: 4096 }, () => {
  const address = server.address();
  console.log(`listening on ${address.address}:${address.port}`);
});
process.on('SIGTERM', () => process.exit(0));
