/** Its caches of images and sheets are not those that a script can refresh. */
export const isFirefox = (): boolean => CSS.supports('-moz-appearance: none');

/** Also of all browsers on iOS. */
export const isWebKit = (): boolean => /^Apple/.test(navigator.vendor);
