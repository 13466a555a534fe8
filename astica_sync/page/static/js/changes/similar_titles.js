// Finds the class that a text may mean: titles equal but for case, and titles one slip away.

const folded = (text) => text.normalize("NFC").toLocaleLowerCase();

/** Whether one text becomes the other by one letter more, less, another, or two swapped. */
export function isOneSlipAway(one, other) {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  if (long.length - short.length > 1 || short === long) return false;
  let at = 0;
  while (at < short.length && short[at] === long[at]) at += 1;
  if (short.length < long.length) return short.slice(at) === long.slice(at + 1);
  if (short.slice(at + 1) === long.slice(at + 1)) return true;
  return short[at] === long[at + 1] && short[at + 1] === long[at] && short.slice(at + 2) === long.slice(at + 2);
}

export function findSimilar(text, titles) {
  const wanted = folded(text.trim());
  if (!wanted || titles.includes(text.trim())) return null;
  return titles.find((title) => folded(title) === wanted) ?? (wanted.length > 2 ? titles.find((title) => isOneSlipAway(folded(title), wanted)) : null) ?? null;
}

/** How well a title fits what was typed: a number, the larger the better, or null. Each word must be found. */
export function fit(typed, title) {
  const words = folded(typed).split(/\s+/).filter(Boolean);
  const text = folded(title);
  let score = 0;
  for (const word of words) {
    const at = text.indexOf(word);
    if (at < 0) return null;
    score += at === 0 ? 3 : /[^\p{L}\p{N}]/u.test(text[at - 1]) ? 2 : 1;
  }
  return score - text.length / 1000;
}
