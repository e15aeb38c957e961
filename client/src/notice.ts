import { createHost } from './shadow';

const PLACE = 'inset:auto 12px 12px auto!important;max-width:calc(100vw - 24px)!important;';
const RULES = `
p{display:flex;gap:8px;align-items:center;margin:0;padding:6px 6px 6px 12px;border:1px solid GrayText;border-radius:6px;background:Canvas;color:CanvasText;font:13px/1.4 system-ui,sans-serif}
button{border:0;padding:2px 6px;background:none;color:inherit;font:inherit;cursor:pointer}`;

/** A badge in a corner, for as long as something is wrong or until a person has read it. */
export const createNotice = (document: Document) => {
  let host: HTMLElement | undefined;
  let status: HTMLElement | undefined;
  let shown: string | undefined;

  const build = (): HTMLElement => {
    const made = createHost(document, 'hot-reload-notice', PLACE, RULES);
    const box = made.add(made.root, 'p');
    status = made.add(box, 'span');
    status.setAttribute('role', 'status');
    const button = made.add(box, 'button', '×');
    button.title = 'Dismiss';
    // Not a stop on the way through the page, and nothing to be read out.
    button.tabIndex = -1;
    button.setAttribute('aria-hidden', 'true');
    // The focus stays where it is.
    button.onmousedown = (event) => event.preventDefault();
    button.onclick = () => host?.remove();
    return made.host;
  };

  return {
    /** The same text again does not bring back what was dismissed. */
    show(text: string): void {
      if (text === shown) return;
      shown = text;
      host ??= build();
      document.documentElement.append(host);
      // A status is read out when it changes, not when it appears.
      status!.textContent = text;
    },

    hide(): void {
      host?.remove();
      shown = undefined;
    },
  };
};
