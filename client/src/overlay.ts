import { createHost } from './shadow';

export interface Failure {
  /** 0 where there was no answer. */
  status: number;
  text: string;
  isHtml: boolean;
}

export const titleOf = (status: number): string =>
  status ? `The server answered with ${status}.` : 'The server does not answer.';

const PLACE =
  'inset:24px!important;border-top:4px solid #c22!important;outline:1px solid GrayText!important;background:Canvas!important;color:CanvasText!important;font:14px/1.5 system-ui,sans-serif!important;';
const RULES = `div{display:flex;flex-direction:column;height:100%}b{padding:8px 16px}button{position:absolute;top:6px;right:12px}pre,iframe{flex:1;min-height:0;margin:0;padding:0 16px;overflow:auto;border:0;white-space:pre-wrap;overflow-wrap:anywhere}iframe{padding:0;background:#fff}`;

/** Shows an error above the page, which stays as it is below: its focus, too. */
export const createOverlay = (document: Document) => {
  let close: (() => void) | undefined;

  const show = ({ status, text, isHtml }: Failure): void => {
    close?.();
    const { host, root, add } = createHost(document, 'hot-reload-overlay', PLACE, RULES);
    const title = titleOf(status);
    const box = add(root, 'div');
    box.setAttribute('role', 'dialog');
    box.setAttribute('aria-label', title);
    const heading = add(box, 'b');
    heading.setAttribute('role', 'alert');
    const button = add(box, 'button', 'Dismiss');
    button.title = 'Escape';
    const content = add(box, isHtml ? 'iframe' : 'pre', isHtml ? '' : text);
    if (isHtml) {
      content.setAttribute('sandbox', '');
      content.title = title;
      try {
        (content as HTMLIFrameElement).srcdoc = text;
      } catch {
        // Trusted types.
        content.replaceWith(add(box, 'pre', text));
      }
    } else content.tabIndex = 0;

    // Before the page hears of it: what is open there is not meant.
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== 'Escape') return;
      event.preventDefault();
      event.stopImmediatePropagation();
      close?.();
    };
    close = () => {
      removeEventListener('keydown', onKey, true);
      host.remove();
      close = undefined;
    };
    button.onclick = close;
    addEventListener('keydown', onKey, true);
    document.documentElement.append(host);
    // Above a modal dialog of the page.
    host.popover = 'manual';
    host.showPopover?.();
    heading.textContent = title;
  };

  return { show, hide: () => close?.() };
};
