// The smallest TrueType font that browsers take: a square for the letter "x", as wide as is wished.

const u16 = (...values) =>
  Buffer.concat(
    values.map((value) => {
      const bytes = Buffer.alloc(2);
      bytes.writeUInt16BE(value & 0xffff);
      return bytes;
    }),
  );
const u32 = (...values) => u16(...values.flatMap((value) => [value >>> 16, value]));

const EM = 1000;

// A space, then the letter; the last segment ends every table (OpenType, cmap format 4).
const cmap = () => {
  const segments = [
    { code: 0x78, glyph: 1 },
    { code: 0xffff, glyph: 0 },
  ];
  const body = u16(
    ...[segments.length * 2, 4, 1, 0],
    ...segments.map(({ code }) => code),
    0,
    ...segments.map(({ code }) => code),
    ...segments.map(({ code, glyph }) => glyph - code),
    ...segments.map(() => 0),
  );
  return Buffer.concat([u16(0, 1, 3, 1), u32(12), u16(4, body.length + 6, 0), body]);
};

/** A contour of four points on the curve, the coordinates being words. */
const square = (size) =>
  Buffer.concat([
    u16(1, 0, 0, size, size, 3, 0),
    Buffer.from([1, 1, 1, 1]),
    u16(0, size, 0, -size),
    u16(0, 0, size, 0),
  ]);

const name = (family) => {
  const text = u16(...[...family].map((letter) => letter.charCodeAt(0)));
  const ids = [1, 2, 4, 6];
  const records = ids.map((id) => u16(3, 1, 0x409, id, text.length, 0));
  return Buffer.concat([u16(0, ids.length, 6 + 12 * ids.length), ...records, text]);
};

/** `advance`: the width of the letter, in thousandths of the font's size. */
export const font = (advance) => {
  const glyph = square(500);
  const os2 = Buffer.concat([
    u16(4, advance, 400, 5, 0, 650, 600, 0, 75, 650, 600, 0, 350, 50, 250, 0),
    Buffer.alloc(10),
    u32(0, 0, 0, 0),
    Buffer.from('NONE'),
    u16(0x40, 0x78, 0x78, 800, -200, 90, 1000, 200),
    u32(1, 0),
    u16(500, 500, 0, 0x20, 1),
  ]);
  const head = Buffer.concat([
    u32(0x10000, 0x10000, 0, 0x5f0f3cf5),
    u16(0, EM),
    u32(0, 0, 0, 0),
    u16(0, 0, 500, 500, 0, 8, 2, 0, 0),
  ]);
  const tables = {
    'OS/2': os2,
    cmap: cmap(),
    glyf: glyph,
    head,
    hhea: u16(1, 0, 800, -200, 0, advance, 0, 0, 500, 1, 0, 0, 0, 0, 0, 0, 0, 2),
    hmtx: u16(advance, 0, advance, 0),
    loca: u16(0, 0, glyph.length / 2),
    maxp: Buffer.concat([u32(0x10000), u16(2, 4, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0)]),
    name: name('Square'),
    post: u32(0x30000, 0, 0, 0, 0, 0, 0, 0),
  };
  const padded = (table) => Buffer.concat([table, Buffer.alloc(-table.length & 3)]);
  const sum = (table) => {
    let total = 0;
    for (let at = 0; at < table.length; at += 4) total = (total + table.readUInt32BE(at)) >>> 0;
    return total;
  };
  const entries = Object.entries(tables);
  let offset = 12 + 16 * entries.length;
  const directory = entries.map(([tag, table]) => {
    const entry = [Buffer.from(tag), u32(sum(padded(table)), offset, table.length)];
    offset += padded(table).length;
    return Buffer.concat(entry);
  });
  const header = Buffer.concat([u32(0x10000), u16(entries.length, 128, 3, entries.length * 16 - 128)]);
  return Buffer.concat([header, ...directory, ...entries.map(([, table]) => padded(table))]);
};
