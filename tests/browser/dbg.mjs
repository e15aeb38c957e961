import { Puppet, launchFirefox, launchChromium } from './puppets.mjs';
import { WebKit } from './webkit.mjs';
import http from 'node:http';
import { setTimeout as s } from 'node:timers/promises';
for (const w of [new Puppet('firefox', launchFirefox), new Puppet('chromium', launchChromium), new WebKit()]) {
let n = 1;
const srv = http.createServer((q, r) => {
 const cc = q.url.includes('max') ? 'max-age=3600' : 'no-cache';
 if (q.url.includes('.css')) { r.setHeader('content-type','text/css'); r.setHeader('cache-control', cc); return r.end(q.url.includes('main') ? `@import "d-${cc.startsWith('max') ? 'max' : 'no'}.css";` : `p{color:rgb(${n},0,0)}`); }
 r.setHeader('content-type','text/html'); r.setHeader('cache-control','no-cache');
 const kind = q.url.split('/')[1];
 r.end(`<!doctype html><link rel="${kind=='alt'?'alternate stylesheet" title="x':'stylesheet'}" href="/${kind=='imax'||kind=='ino'?'main-':''}${kind}.css"><p id=text>hi`); }).listen(0);
await s(50);
const u = `http://127.0.0.1:${srv.address().port}`;
const color = (p) => p.evaluate(() => getComputedStyle(document.querySelector('p')).color);
const out = {};
for (const kind of ['max', 'no']) { n = 1; const p = await w.page(); await p.go(`${u}/${kind}`); await s(1200); n = 2; await p.evaluate((k) => fetch(`/${k}.css`, {cache:'reload'}).then(r => r.text()), kind); await p.go(`${u}/${kind}/again`); await s(1200); out[`navigation ${kind}`] = await color(p); await p.close(); }
for (const kind of ['imax', 'ino']) { n = 1; const p = await w.page(); await p.go(`${u}/${kind}`); await s(1200); n = 2;
 out[`insert ${kind}`] = await p.evaluate(async () => { const seen=[]; let on=true; const look=()=>{const {color}=getComputedStyle(document.querySelector('p')); if(seen.at(-1)!==color) seen.push(color); if(on) requestAnimationFrame(look)}; look();
  const sheet = document.querySelector('link').sheet; sheet.insertRule('@import "/' + new URL(sheet.cssRules[0].href, location).href.split('/').pop() + '?m=2";', 1);
  let ok=false; for (let i=0;i<100;i++){ try { if (sheet.cssRules[1].styleSheet?.cssRules.length) { ok = true; break; } } catch {} await new Promise(r=>setTimeout(r,10)); }
  sheet.deleteRule(0); await new Promise(r=>setTimeout(r,200)); on=false; return [ok, seen]; }); await p.close(); }
{ n = 1; const p = await w.page(); await p.go(`${u}/alt`); await s(1200); out.alternate = [await color(p)];
 await p.evaluate(() => { const l = document.querySelector('link'); l.disabled = true; l.disabled = false; }); await s(700); n = 2; out.alternate.push(await color(p));
 out.alternate.push(await p.evaluate(async () => { const seen=[]; let on=true; const look=()=>{const {color}=getComputedStyle(document.querySelector('p')); if(seen.at(-1)!==color) seen.push(color); if(on) requestAnimationFrame(look)}; look();
  const old = document.querySelector('link'), next = old.cloneNode(true); next.href += '?m=2'; const was = old.sheet.disabled;
  next.onload = () => { next.sheet.disabled = old.sheet.disabled; old.remove(); }; old.after(next); await new Promise(r=>setTimeout(r,700)); on=false; return [was, seen]; })); await p.close(); }
console.log(w.name, JSON.stringify(out));
await w.close(); srv.close(); srv.closeAllConnections();
}
