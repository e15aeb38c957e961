/** Its caches of images and sheets are not those that a script can refresh. */
export const isFirefox = (): boolean => CSS.supports('-moz-appearance: none');
