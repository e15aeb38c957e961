// Serves what a development server of npm is pointed at, with its default settings:
//
//   node serve.mjs vite|browser-sync SITE CACHE
//
// says on its first line at which port, and ends with its standard input.
import { createServer as createListener } from 'node:net';

const freePort = () =>
  new Promise((resolve) => {
    const listener = createListener().listen(0, '127.0.0.1', () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });

const serveVite = async (root, cacheDir) => {
  const { createServer } = await import('vite');
  const port = await freePort();
  const server = await createServer({
    root,
    cacheDir,
    configFile: false,
    logLevel: 'error',
    server: { host: '127.0.0.1', port, strictPort: true },
  });
  await server.listen();
  return port;
};

const serveBrowserSync = async (directory) => {
  const { default: browserSync } = await import('browser-sync');
  const port = await freePort();
  const instance = browserSync.create();
  await new Promise((resolve, reject) => {
    const started = (error) => (error ? reject(error) : resolve());
    instance.init(
      {
        server: directory,
        files: directory,
        listen: '127.0.0.1',
        port,
        open: false,
        ui: false,
        online: false,
        logLevel: 'silent',
      },
      started,
    );
  });
  return port;
};

const tools = { vite: serveVite, 'browser-sync': serveBrowserSync };
const [tool, site, cache] = process.argv.slice(2);

process.stdin.resume().on('end', () => process.exit());
process.on('SIGTERM', () => process.exit(143));
console.log(await tools[tool](site, cache));
