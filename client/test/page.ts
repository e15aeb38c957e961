// A document without a browser: what is there of DOMParser and elements is enough for the merge.
import { DOMParser as Parser } from 'linkedom';

export class DOMParser {
  parseFromString(markup: string): Document {
    return new Parser().parseFromString(markup, 'text/html') as unknown as Document;
  }
}

export const documentOf = (body: string, head = ''): Document =>
  new DOMParser().parseFromString(
    `<!doctype html><html><head>${head}</head><body>${body}</body></html>`,
  );
