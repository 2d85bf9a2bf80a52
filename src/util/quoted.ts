/** Texts of strangers in sentences of ours. */

/** A text from a file, quoted, printable and short enough for an error. */
export function quoted(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  // JSON leaves most of Unicode's invisible characters and its marks of direction as they are.
  return JSON.stringify(short).replace(/[^\P{C} ]/gu, (character) => {
    return `\\u{${character.codePointAt(0)?.toString(16)}}`;
  });
}
