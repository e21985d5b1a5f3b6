/** A page as people see it: on a phone and at a desk, light and dark. */
export type Look = readonly [width: number, colorScheme: 'light' | 'dark'];

/** Each width and each color once; all four with `LOOKS=all`. */
export const LOOKS: readonly Look[] =
  process.env.LOOKS === 'all'
    ? [
        [360, 'light'],
        [360, 'dark'],
        [1280, 'light'],
        [1280, 'dark'],
      ]
    : [
        [360, 'light'],
        [1280, 'dark'],
      ];
