// Names come from people, and some are made to be taken for another's: what cannot be seen, or turns
// what is around it, is shown as what it is.

/** What has no look of its own: controls of direction, joiners, fillers, blanks of all kinds. */
const UNSEEN = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Zl}\p{Zp}\u2800]/gu;
/** Where joiners belong: in emoji, and in scripts that join. */
const JOINING =
  /[\p{Extended_Pictographic}\u{1f3fb}-\u{1f3ff}\ufe0f\p{sc=Arab}\p{sc=Syrc}\p{sc=Deva}\p{sc=Beng}\p{sc=Guru}\p{sc=Gujr}\p{sc=Taml}\p{sc=Telu}\p{sc=Knda}\p{sc=Mlym}\p{sc=Sinh}\p{sc=Mong}]$/u;
const VARIATIONS = ['\ufe0e', '\ufe0f'];
const JOINERS = ['\u200c', '\u200d'];

const codeOf = (sign: string): string =>
  `‹U+${sign.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}›`;

export function shown(name: string): string {
  return name
    .replace(UNSEEN, (sign, at: number) => {
      if (VARIATIONS.includes(sign)) return sign;
      return JOINERS.includes(sign) && JOINING.test(name.slice(0, at)) ? sign : codeOf(sign);
    })
    .replace(/^\s+|\s+$|(?<=\s)\s+|[^\S ]/g, blanks => '␣'.repeat(blanks.length));
}

/** Within a sentence of ours: it cannot turn the sentence around it. */
export const name = (text: string): string => `\u2068${shown(text)}\u2069`;
