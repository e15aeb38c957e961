// The injector itself, through tests/c/inject_filter, which describes the exchange.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** How much of a body is searched: HR_INJECT_LIMIT of hotreload.h. */
export const LIMIT = 65_536;

const UNTOUCHED = 0xffff_ffff_ffff_ffffn;

const FILTER =
  process.env.HOT_RELOAD_INJECT_FILTER ?? resolve(root, 'build/c/tests/c/inject_filter');

const pack = (datas) =>
  Buffer.concat(
    datas.flatMap((data) => {
      const size = Buffer.alloc(4);
      size.writeUInt32LE(data.length);
      return [size, data];
    }),
  );

const run = (input, certain, piece) => {
  if (!existsSync(FILTER))
    throw new Error(
      `${FILTER} is not built: run \`make test\`, or name one in the variable HOT_RELOAD_INJECT_FILTER`,
    );
  const { stdout, status, error, stderr } = spawnSync(
    FILTER,
    [certain ? 'certain' : 'maybe', String(piece)],
    { input, maxBuffer: 1 << 26, timeout: 120_000 },
  );
  if (error) throw error;
  if (status !== 0) throw new Error(`inject_filter ended with ${status}: ${stderr}`);
  return stdout;
};

/**
 * The tag, and for each document where it goes (-1: it is left untouched) and how many bytes were
 * fed before that was known.
 *
 * @param {Buffer[]} datas
 * @param {{ certain?: boolean, piece?: number }} how `piece`: bytes fed at a time; 0: all at once
 */
export const inject = (datas, { certain = true, piece = 0 } = {}) => {
  const output = run(pack(datas), certain, piece);
  const begin = 4 + output.readUInt32LE(0);
  if (output.length !== begin + 16 * datas.length) throw new Error('inject_filter said too little');
  const answers = datas.map((_, index) => {
    const at = begin + 16 * index;
    const place = output.readBigUInt64LE(at);
    return {
      place: place === UNTOUCHED ? -1 : Number(place),
      fed: Number(output.readBigUInt64LE(at + 8)),
    };
  });
  return { tag: output.subarray(4, begin), answers };
};

/** The document with the tag in its place. */
export const splice = (data, place, tag) =>
  Buffer.concat([data.subarray(0, place), tag, data.subarray(place)]);
