/** Decodes a JPEG to RGB (`formatAsRGBA: false`). Throws on damaged data unless `tolerantDecoding`. */
export function decode(
  bytes: Uint8Array,
  options?: {
    useTArray?: boolean;
    formatAsRGBA?: boolean;
    tolerantDecoding?: boolean;
    colorTransform?: boolean;
    maxResolutionInMP?: number;
    maxMemoryUsageInMB?: number;
  },
): { width: number; height: number; data: Uint8Array };
