// The documents that the place of the tag is proved on: { name, data, scripting }.
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LIMIT } from './placement-inject.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const data = process.env.HOT_RELOAD_TEST_DATA ?? resolve(root, '../shared/data');
const cases = join(data, 'html5lib-tests/tree-construction');

/** Why there are no cases of html5lib, or false. */
export const html5libMissing =
  !existsSync(cases) &&
  `no html5lib-tests in ${data} (HOT_RELOAD_TEST_DATA names another directory)`;

const SECTION =
  /^#(data|errors|new-errors|document-fragment|script-on|script-off|document)\n/m;

/** The sections of one case by name. */
const sections = (block) => {
  const [, ...parts] = `#data\n${block}`.split(SECTION);
  const found = {};
  for (let index = 0; index < parts.length; index += 2) found[parts[index]] = parts[index + 1];
  return found;
};

const toDocument = (file, found, index) => ({
  name: `${file} ${index}`,
  data: Buffer.from(found.data.replace(/\n$/, '')),
  scripting: [true, false].filter((on) => !((on ? 'script-off' : 'script-on') in found)),
});

/** The documents among the tree-construction cases; fragments are not sent as pages. */
export const html5lib = () =>
  readdirSync(cases)
    .filter((file) => file.endsWith('.dat'))
    .sort()
    .flatMap((file) =>
      readFileSync(join(cases, file), 'utf8')
        .split(/^#data\n/m)
        .slice(1)
        .map(sections)
        .filter((found) => !('document-fragment' in found))
        .map((found, index) => toDocument(file, found, index)),
    );

/** Documentation as packages of Debian, and the least number of pages in each. */
export const PACKAGES = {
  'python3.11-doc': 500,
  'python-django-doc': 600,
  'git-doc': 200,
  'postgresql-doc-15': 1000,
};

const listFiles = (name) => {
  try {
    return execFileSync('dpkg', ['-L', name], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).split('\n');
  } catch {
    return [];
  }
};

const isPage = (path) =>
  path.endsWith('.html') && Boolean(lstatSync(path, { throwIfNoEntry: false })?.isFile());

/** The pages of one of PACKAGES. */
export const pages = (name) => {
  const found = listFiles(name).filter(isPage).sort();
  if (found.length < PACKAGES[name])
    throw new Error(
      `${name} has ${found.length} pages here: apt-get install --reinstall ${Object.keys(PACKAGES).join(' ')}` +
        ' (a path-exclude of /usr/share/doc in /etc/dpkg/dpkg.cfg.d keeps them away)',
    );
  return found.map((path) => ({ name: path, data: readFileSync(path), scripting: [true] }));
};

const swapped = (text) => Buffer.from(text, 'utf16le').swap16();
const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
const page = '<!doctype html><html><head><title>a</title></head><body>b</body></html>';
const comment = (size) => `<!--${'x'.repeat(size - 7)}-->`;

const handMade = {
  'frameset with head': '<html><head><title>a</title></head><frameset><frame></frameset></html>',
  'frameset without head': '<html><frameset cols="*"><frame><noframes>a</noframes></frameset>',
  'frameset alone': '<frameset></frameset>',
  'frameset after white space and comments': ' <!-- a --> <html> <!-- b --> <frameset>',
  'frameset after text': 'text<frameset>',
  'frameset after text in html': '<html>text<frameset>',
  'frameset after doctype': '<!doctype html><frameset><frame></frameset>',
  'frameset after an empty head': '<head></head>\n<frameset>',
  'frameset after an end tag': '</head><frameset>',
  'frameset after a reference to white space': '<html>&#32;<frameset>',
  'frameset after a reference to a letter': '<html>&#97;<frameset>',
  'frameset after NUL': '\0<frameset>',
  'UTF-16 LE with mark': Buffer.from(`\ufeff${page}`, 'utf16le'),
  'UTF-16 BE with mark': swapped(`\ufeff${page}`),
  'UTF-16 LE without mark': Buffer.from(page, 'utf16le'),
  'UTF-16 BE without mark': swapped(page),
  'UTF-16 LE without mark, white space': Buffer.from(`\n${page}`, 'utf16le'),
  'UTF-8 mark': `\ufeff${page}`,
  'UTF-8 mark alone': '\ufeff',
  'UTF-8 mark and text': '\ufefftext',
  'two UTF-8 marks': `\ufeff\ufeff${page}`,
  'a mark after white space': ` \ufeff${page}`,
  'not UTF-8': bytes('<html><p title="', [0xe9, 0xff, 0xfe], '"><head>'),
  'half a mark': bytes([0xef, 0xbb], page),
  'two </body>': '<html><body><pre>&lt;/body></pre></body>a</body></html>b',
  'no </body>': '<!doctype html><title>a</title><p>b',
  '</body> in a script': '<body><script>a = "</body></html>"</script></body>',
  '<head> in a script': '<script>a = "<head>"</script><head><title>b</title>',
  '<head> in a script in the head': '<head><script>"<head>"</script></head>',
  '<!-- in a script': '<script><!-- <script> </script> --></script><head>',
  '</body> in a comment': '<body><!-- </body> --></body>',
  '<head> in a comment': '<!-- <html><head> --><html><!-- <head> --><head><title>a</title>',
  '<head> in a textarea': '<textarea><head></textarea><head>',
  '<head> in a title': '<title><head></title><head>',
  '<head> in a style': '<style><head></style><head>',
  '<head> in a doctype': '<!doctype html "<head>"><head>',
  '<head> in a quoted value': '<html title="<head>"><head lang=">">text',
  '<head> in noscript': '<noscript><head></noscript><head>',
  'comment before the doctype': '<!-- a --><!doctype html><title>b</title>',
  'comments of all ends': '<!--><!---><!----><!--a--!><!-- -- - --!- --><html><!--><p>-->',
  'quirks, no doctype': '<html><head></head><body><p><table></table></body></html>',
  'quirks by public id': '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 3.2//EN"><p><table>',
  'limited quirks':
    '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd"><head></head><p><table>',
  'doctype cut by >': '<!doctype html PUBLIC ">"><head>',
  '<base> first': '<!doctype html><head><base href="https://example.org/"><link href="a.css">',
  '<base> without a head': '<base href="https://example.org/"><p>',
  'CSP first':
    '<head><meta http-equiv="Content-Security-Policy" content="script-src \'none\'"><title>a</title>',
  'CSP without a head': '<meta http-equiv=Content-Security-Policy content="default-src \'none\'">a',
  'meta charset': '<!doctype html>\n<html lang="en">\n<head>\n  <meta charset="utf-8">\n</head>\n',
  'XML prolog': `<?xml version="1.0" encoding="UTF-8"?>\n${page}`,
  'XML prolog and style sheet': `<?xml version="1.0"?><?xml-stylesheet href="a.css"?>${page}`,
  'PHP that was not run': '<?php if (1 > 0) ?><html><head><title>a</title>',
  'conditional comments':
    '<!doctype html><!--[if lt IE 7]> <html class="ie6"> <![endif]--><!--[if gt IE 8]><!--> <html> <!--<![endif]--><head><title>a',
  'downlevel-revealed comments': '<![if !IE]><html><![endif]><head><title>a</title>',
  'head attributes with >': '<html a=">" b=\'>\'><head c=">" d = \'>\' e=f"><meta name=g>">h',
  'quotes that open no value': `<html a"><head b'="c" ">d`,
  'quotes right after quotes': `<html a="b"c='>'d=">"><head e=''f=">">g`,
  'head with a slash': '<html/><head/><title/>a</title>',
  'head in capitals': '<HTML><HEAD PROFILE="a"><TITLE>b</TITLE></HEAD><BODY></BODY></HTML>',
  '<header> first': '<header>a</header><head>',
  '<heading> first': '<heading>a</heading>',
  '<headx> in html': '<html><headx><head>',
  'implied head and body': '<title>a</title><p>b<p>c',
  'implied head, text': '<html>\n  text <b>c</b></html>',
  'body without head': '<html><body class="a">b</body></html>',
  'attributes of a second html': '<html a=b><html c=d><p><html e=f>',
  'second head': '<head a=b></head><head c=d><title>e</title></head>',
  'end tags first': '</p></div></section a=">"></><//>\n<html></b><head>c',
  '</br> first': '</br><head>',
  '</body> first': '</body><head>',
  '</html> first': '</html><!-- a --><head>',
  plaintext: '<plaintext><head></plaintext>',
  listing: '<listing>\n<head></listing>',
  'template first': '<template><head><script></script></template><head><title>a',
  'template in the head': '<head><template><base href=a><template>b</template></template>c',
  'svg first': '<svg><head><script/><title><head></title></svg><head>',
  'math first': '<math><mi><head></math>',
  'table first': '<table><head><tr><td>a</table>',
  'select first': '<select><head><option>a</select>',
  'text and white space': ' \t\n\f\r text \n <head>',
  'white space after head': '<html>\n<head>\n  \n<title>a</title>\n</head>\n<body>',
  'text after head': '<head>text</head><title>a</title>',
  'references to white space': '<html>&#32;&#x20;&#10;&Tab;&NewLine;&#x0D;<head>a',
  'a long reference': '<html>&#00000000000000032;<head>',
  'a reference to NUL': '<html>&#0;<frameset>',
  'a reference to no-break space': '<html>&nbsp;<head>',
  'CDATA that is none': '<![CDATA[<head>]]><head>',
  'bogus comments': '<!a><!-><!DO><? ><?a></ b><html><!>c',
  '< and text': '<html>< head><head>',
  'NUL first': `\0${page}`,
  'NUL after the doctype': '<!doctype html>\0<p>a',
  'NUL in text': '<p>a\0b',
  'NUL in a comment': `<!-- \0 -->${page}`,
  'NUL in an attribute': `<html a="\0"><head b\0=c>d`,
  'NUL in a name': '<hea\0d>a',
  'NUL alone': '\0',
  empty: '',
  'white space alone': ' \n\t \f\r\n',
  'comment alone': '<!-- a -->',
  'doctype alone': '<!doctype html>',
  'html alone': '<!doctype html><html lang=en>',
  'html and a comment': '<html><!-- a -->',
  'text alone': 'text',
  'a letter': 'a',
  'the tag already': '<head><script data-cursor="a.b" async="" src="/client.js"></script></head>',
  'cut in a comment': '<!-- <head>',
  'cut in a doctype': '<!doctype html',
  'cut in a value': '<html a="<head>',
  'cut in a name': '<hea',
  'cut after <': '<',
  'cut in an end tag': '<html></p a',
  'cut in a reference': '<html>&#3',
  'cut in a declaration': '<!d',
  'cut in content': '<p><b',
  'short comment before the doctype': `${comment(1000)}${page}`,
  'long comment before the doctype': `${comment(60_000)}${page}`,
  'white space before the doctype': `${' \n'.repeat(30_000)}${page}`,
  'many comments': `${comment(100).repeat(600)}${page}`,
  'long attribute': `<html data-a="${'>'.repeat(60_000)}"><head>b`,
  'head that ends at the limit': `${comment(LIMIT - 6)}<head>a`,
  'head that ends after the limit': `${comment(LIMIT - 5)}<head>a`,
  'text at the limit': `<html>${comment(LIMIT - 7)}a`,
  'text after the limit': `<html>${comment(LIMIT - 6)}a`,
  'comment that ends at the limit': `<html>${comment(LIMIT - 6)}`,
  'comment beyond the limit': `${comment(70_000)}${page}`,
  'white space beyond the limit': `${' '.repeat(70_000)}${page}`,
};

/** Kinds that neither the cases nor the packages have. */
export const handMadeDocuments = () =>
  Object.entries(handMade).map(([name, content]) => ({
    name,
    data: Buffer.from(content),
    scripting: [true, false],
  }));

const MARKUP = [
  ...['<!doctype html>', '<!DOCTYPE', '<!', '<!--', '-->', '--!>', '<!-->', '-', '!', '<?', '?>'],
  ...['<html>', '<html a=">">', '<html ', '<head>', '<head\n', '<head/>', "<HEAD a='>'>", 'b="'],
  ...['</head>', '<body>', '<body c>', '</body>', '</html>', '</br>', '</p>', '</', '<', '>', '/>'],
  ...[' ', '\n', '\t', '\r', '\f', '\v', '\0', '"', "'", '=', 'x', 'é', '\u{1f600}', '\ufeff'],
  ...['&', '&#32;', '&#x20', '&Tab;', '&NewLine;', '&NewLine', '&nbsp;', '&#', '97;', ';', '&#0;'],
  ...['<p>', '<b>', '<header>', '<table>', '<frameset>', '<frame>', '<noframes>', '<select>'],
  ...['<title>', '</title>', '<base href=x>', '<meta charset=x>', '<script>', '</script>'],
  ...['<template>', '</template>', '<noscript>', '</noscript>', '<svg>', '<math>', '</svg>'],
  ...['<style>', '<textarea>', '<plaintext>', '<![CDATA[', ']]>', '<br>', '<input>', '<link>'],
];
const ATTRIBUTES = ['a', 'B', '"', "'", '=', '>', '/', ' ', '\n', '<', '\0', '&', '="', '">', "='"];
const COMMENT = ['-', '--', '!', '>', '->', '-->', '<!', '<!--', 'a', ' ', '\0'];
const REFERENCE = ['0', '1', '2', '3', '9', '32', 'x', 'X', 'a', 'A', 'd', 'D', 'g', ';', ' ', '&'];

/** What opens a construct, and what may decide where it ends. */
const CONSTRUCTS = [
  ['', []],
  ['<html', ATTRIBUTES],
  ['<head', ATTRIBUTES],
  ['</p', ATTRIBUTES],
  ['<body', ATTRIBUTES],
  ['<!doctype', ATTRIBUTES],
  ['<!--', COMMENT],
  ['<!', COMMENT],
  ['&#', REFERENCE],
];

/** The same on every machine: a linear congruential generator. */
const generator = (seed) => {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

/** Pieces of markup in any order, after a construct made of pieces likewise. */
export const randomDocuments = (count) => {
  const next = generator(1);
  const one = (list) => list[next(list.length)];
  const some = (list, most) => Array.from({ length: next(most) }, () => one(list)).join('');
  return Array.from({ length: count }, () => {
    const [opening, pieces] = one(CONSTRUCTS);
    const construct = pieces.length ? opening + some(pieces, 12) : '';
    const text = construct + one(MARKUP) + some(MARKUP, 12);
    return { name: JSON.stringify(text), data: Buffer.from(text), scripting: [true, false] };
  });
};
