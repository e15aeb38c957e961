import { hostHub } from './host';

const hub = hostHub(location.href.replace(/\/worker\.js\b.*/, ''));

addEventListener('connect', (event) => {
  const port = (event as MessageEvent).ports[0]!;
  const receive = hub.join((message) => port.postMessage(message));
  port.onmessage = ({ data }) => receive(data);
  // The last words of a page that goes may be lost. Not all browsers tell.
  port.addEventListener('close', () => receive(['close']));
});
