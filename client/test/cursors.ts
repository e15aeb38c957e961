/** A cursor as the server writes it: boot and sequence of 16 hexadecimal digits each. */
export const at = (boot: string, sequence: number): string =>
  `${boot.repeat(16)}.${sequence.toString(16).padStart(16, '0')}`;
