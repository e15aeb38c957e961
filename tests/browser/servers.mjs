// Processes of uvicorn. Each has a `pid`, an `exitCode` or the name of a signal once it has ended,
// a promise of its end, and `kill`; what it prints goes to a file.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const PYTHON = process.env.PYTHON ?? resolve(here, '../../.venv/bin/python');
// A module rewritten within a second must not be mistaken for its cached bytecode.
const ENVIRONMENT = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' };

class Server {
  exitCode = null;
  #end;
  ended = new Promise((done) => (this.#end = done));

  constructor(pid) {
    this.pid = pid;
  }

  kill(signal) {
    if (this.exitCode !== null) return;
    try {
      process.kill(this.pid, signal);
    } catch (error) {
      // It has ended, and that is still to be heard.
      if (error.code !== 'ESRCH') throw error;
    }
  }

  end({ code, signal }) {
    this.exitCode = code ?? signal;
    this.#end({ code, signal });
  }
}

/** Forks servers that have imported the most; see servers.py. It ends with this process. */
class Forks {
  #asked = [];
  #servers = new Map();

  constructor() {
    const stdio = ['pipe', 'pipe', 'inherit'];
    this.child = spawn(PYTHON, [resolve(here, 'servers.py')], { env: ENVIRONMENT, stdio });
    createInterface({ input: this.child.stdout }).on('line', (line) => this.#hear(JSON.parse(line)));
    this.child.once('exit', () => {
      forks = undefined;
      for (const { fail } of this.#asked) fail(new Error('servers.py has ended'));
      for (const server of this.#servers.values()) server.end({ code: null, signal: 'SIGKILL' });
    });
    this.child.unref();
    this.child.stdin.unref();
    this.#hold();
  }

  /** Node waits for what is to be heard, and for nothing else. */
  #hold() {
    const { stdout } = this.child;
    if (this.#asked.length || this.#servers.size) stdout.ref();
    else stdout.unref();
  }

  start(cwd, given, output) {
    this.child.stdin.write(`${JSON.stringify({ cwd, arguments: given, output })}\n`);
    return new Promise((done, fail) => {
      this.#asked.push({ done, fail });
      this.#hold();
    });
  }

  #hear({ pid, ...end }) {
    if ('code' in end) {
      this.#servers.get(pid).end(end);
      this.#servers.delete(pid);
    } else {
      const server = new Server(pid);
      this.#servers.set(pid, server);
      this.#asked.shift().done(server);
    }
    this.#hold();
  }
}

let forks;

/** Forked from a process that many share. */
export const forkServer = (cwd, given, output) => (forks ??= new Forks()).start(cwd, given, output);

/** By a command line, which a server needs that starts processes itself. */
export const runServer = (cwd, given, output) => {
  const file = openSync(output, 'a');
  const stdio = ['ignore', file, file];
  const child = spawn(PYTHON, ['-m', 'uvicorn', ...given], { cwd, env: ENVIRONMENT, stdio });
  closeSync(file);
  const server = new Server(child.pid);
  child.once('exit', (code, signal) => server.end({ code, signal }));
  return server;
};
