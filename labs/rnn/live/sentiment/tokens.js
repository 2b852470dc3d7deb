"use strict";
/*
 * Texts as numbers, exactly as the program makes them (labs/rnn/words.py and labs/rnn/grams.py).
 *
 * A browser may know a newer Unicode than the Python that trained: `unassigned` are the characters that Python does not
 * know. It neither composes them nor sees letters in them, so they part a text here, too.
 */
const SPACE = "\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"; // Python's, not JavaScript's
const CHARACTERS_READ = 20000; // of a text, for its n-grams
const WORD_ROWS = 2 ** 18, CHARACTER_ROWS = 2 ** 19; // numbers of n-grams of words and of characters
const LONGEST_WORD = 100; // characters; subwords do not reach over the cuts of a longer one
const UNKNOWN = 1;

// The numbers that a series of gaps ends at; a gap is bytes of 7 bits, the lowest first, all but its last marked by 128.
function decodeGaps(text) {
  const bytes = atob(text), found = [];
  for (let i = 0, last = 0; i < bytes.length; ) {
    let gap = 0, shift = 0, byte;
    do { byte = bytes.charCodeAt(i++); gap += (byte & 127) << shift; shift += 7; } while (byte & 128);
    found.push((last += gap));
  }
  return found;
}

// MurmurHash3 (Appleby 2011) of UTF-8 in 32 bits, with a sign.
const encoder = new TextEncoder();
function murmur(text) {
  const bytes = encoder.encode(text), blocks = bytes.length >> 2;
  const mix = (k) => { k = Math.imul(k, 0xcc9e2d51); return Math.imul((k << 15) | (k >>> 17), 0x1b873593); };
  let h = 0;
  for (let i = 0; i < blocks; i++) {
    h ^= mix(bytes[4 * i] | (bytes[4 * i + 1] << 8) | (bytes[4 * i + 2] << 16) | (bytes[4 * i + 3] << 24));
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  }
  let k = 0;
  for (let i = bytes.length - 1; i >= 4 * blocks; i--) k = (k << 8) | bytes[i];
  if (bytes.length & 3) h ^= mix(k);
  h ^= bytes.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}

const hashTo = (text, rows) => Math.abs(murmur(text)) % rows; // rows are a power of two, so that of -2 ** 31 is 0

/*
 * Returns what reads texts as a run does: tokens(text), numbers(tokens) and grams(text).
 * words: {tokenizer, vocabulary, specials, merges, punctuation, unassigned}
 */
function makeReader({ tokenizer, vocabulary, specials, merges, punctuation, unassigned }) {
  const edges = decodeGaps(unassigned), hex = (code) => `\\u{${code.toString(16)}}`;
  const unknownCharacters = edges.flatMap((edge, i) => (i % 2 ? [] : [`${hex(edge)}-${hex(edges[i + 1] - 1)}`])).join("");
  const known = new RegExp(`[^${unknownCharacters}]+`, "gu");
  const apart = (text, change) => text.replace(known, change);
  const compose = (text) => apart(text, (part) => part.normalize("NFC"));
  const lower = (text) => apart(text, (part) => part.toLowerCase());
  const spaces = new RegExp(`[${SPACE}]+`, "u");
  const split = (text) => text.split(spaces).filter((word) => word);
  const withoutSurrogates = (text, mark) => text.replace(/\p{Surrogate}/gu, mark);
  const pattern = new RegExp(`(?:(?![${unknownCharacters}])[\\p{L}\\p{N}_])+|[^${SPACE}]`, "gu");

  function makeWords(text) {
    let line = lower(text.replaceAll("\n", "\t"));
    line = line.replaceAll('"', "").replaceAll("<br />", " ").replace(/[;:]/g, " ");
    return split(line.replace(/['.,()!?]/g, " $& "));
  }

  const isPunctuation = new Set(punctuation);
  const ranks = new Map(merges.map((pair, rank) => [pair, rank]));
  const numberOf = new Map(vocabulary.map((token, number) => [token, number]).slice(specials));

  // Of all neighbours that were joined in training, those that were joined first are joined, until there are none.
  function joinPieces(word) {
    const pieces = word.map((each) => [each]);
    for (;;) {
      let best = Infinity, place = -1;
      for (let i = 0; i + 1 < pieces.length; i++) {
        const rank = numberOf.has(pieces[i][0]) ? ranks.get(`${pieces[i][0]} ${pieces[i + 1][0]}`) : undefined;
        if (rank < best) { best = rank; place = i; }
      }
      if (place < 0) return pieces.map(([piece]) => piece);
      pieces.splice(place, 2, [pieces[place][0] + pieces[place + 1][0]]);
    }
  }

  function makeSubwords(text) {
    const spaced = split(text).join("▁");
    if (!spaced) return [];
    const words = (spaced.startsWith("▁") ? spaced : `▁${spaced}`).match(/▁[^▁]*/gu), found = [];
    for (const word of words) {
      let part = [];
      const end = () => {
        for (let i = 0; i < part.length; i += LONGEST_WORD) found.push(...joinPieces(part.slice(i, i + LONGEST_WORD)));
        part = [];
      };
      for (const each of word) {
        if (isPunctuation.has(each)) { end(); part = [each]; end(); } else part.push(each);
      }
      end();
    }
    return found.map((piece) => piece.replaceAll("▁", " "));
  }

  const splitters = {
    basic_english: makeWords,
    characters: (text) => [...text],
    jamo: (text) => [...text.replace(/[가-힣]+/g, (syllables) => syllables.normalize("NFD"))],
    subwords: makeSubwords,
  };
  const spoken = tokenizer === "subwords" ? (token) => token.replaceAll(" ", "▁") : (token) => token;

  // What a text is cut into, by which it is looked up, and what stands between when tokens are put together again.
  const tokens = (text) => splitters[tokenizer](compose(withoutSurrogates(text, "\ufffd")));
  const numbers = (cut) => cut.map((token) => numberOf.get(spoken(token)) ?? UNKNOWN);
  const between = tokenizer === "basic_english" ? " " : "";

  // The numbers of words, pairs of words, and of 2 to 5 characters inside of a word with its edges; each once.
  function grams(text) {
    const read = lower(compose(withoutSurrogates([...text].slice(0, CHARACTERS_READ).join(""), "?")));
    const words = read.match(pattern) ?? [], found = new Set();
    words.forEach((word, i) => {
      found.add(1 + hashTo(word, WORD_ROWS));
      if (i) found.add(1 + hashTo(`${words[i - 1]} ${word}`, WORD_ROWS));
    });
    const seen = new Set();
    for (const word of split(read)) {
      const letters = [" ", ...word, " "];
      for (let size = 2; size <= 5; size++) {
        for (let i = 0; i === 0 || i + size <= letters.length; i++) seen.add(letters.slice(i, i + size).join(""));
        if (size >= letters.length) break;
      }
    }
    for (const part of seen) found.add(1 + WORD_ROWS + hashTo(part, CHARACTER_ROWS));
    return [...found].sort((a, b) => a - b);
  }

  return { tokens, numbers, grams, between };
}
