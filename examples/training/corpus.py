"""Reads the parallel text and varies it as people type: case, marks, joins, names, numbers, mail."""
import random
import re
from collections import Counter
from pathlib import Path

LONGEST = 80            # pieces; longer pairs are left out
FINAL_MARKS = '.!?'
SHORT_WORDS = 3
TYPED = 0.20            # share of the pairs that are varied as typed in haste
GREETING = re.compile(r'(hello|hi|good (morning|evening|night|day|afternoon|bye)|goodbye|welcome|'
                      r'thanks?|thank you|please|sorry|excuse me|see you|congratulations|happy|merry|'
                      r'cheers|bye)\b', re.IGNORECASE)
NUMBER = re.compile(r'\d+')
MEASURED = re.compile(r'\b(\d+) (euros?|dollars?|kilos?|kilograms?|meters?|metres?|kilometers?|miles|'
                      r'liters?|percent|degrees)\b')
NAMED = re.compile(r'\bTom\b(?!\')')
PERSON = re.compile(r'\b(to|from|with|for) Tom\b(?!\')'), re.compile(r'\b(an|von|mit|für) Tom\b')
NAMES = ('Laura Paul Lisa Max Julia David Sarah Daniel Emma Felix Nina Oliver Clara Martin Eva Robert '
         'Sophie Thomas Lena Michael Alice Simon Jack Henry Sandra Kevin Monika George Ahmed Yuki Ivan '
         'Chen Fatima Carlos').split()
STARTS = 'b br c d dr f fr g gr h j k kl l m n p r s sch st t tr v w z'.split()
VOWELS = 'a e i o u ai ei au'.split()
CLOSES = 'l n r s t ck nd mann er a o i'.split()
HOSTS = 'mail post web firma verein schule office news team shop studio garten service club'.split()
ENDINGS = 'com org net de at ch eu co.uk info'.split()
MAIL_FRAMES = (
    ('My e-mail address is {}.', 'Meine E-Mail-Adresse ist {}.'),
    ('Send the photos to {}.', 'Schick die Fotos an {}.'),
    ('You can reach her at {}.', 'Du kannst sie unter {} erreichen.'),
    ('Is {} your address?', 'Ist {} deine Adresse?'),
    ('Who is {}?', 'Wer ist {}?'),
    ('I got an e-mail from {}.', 'Ich habe eine E-Mail von {} bekommen.'),
    ('His new address is {}.', 'Seine neue Adresse lautet {}.'),
)


def read_lines(path):
    return Path(path).read_text(encoding='utf-8').split('\n')[:-1]


def read_pairs(folder, part, languages):
    sides = [read_lines(Path(folder, f'{part}.{language}')) for language in languages]
    if len(sides[0]) != len(sides[1]):
        raise SystemExit(f'{folder}/{part}: {len(sides[0])} lines against {len(sides[1])}')
    return list(zip(*sides))


def without_known(pairs, known):
    """Leaves out pairs whose source, whatever its case and marks, is one of `known`."""
    plain = lambda text: re.sub(r'\W+', ' ', text.lower()).strip()
    closed = {plain(text) for text in known}
    return [pair for pair in pairs if plain(pair[0]) not in closed]


def encode(pairs, processor):
    sides = zip(processor.encode([x for x, _ in pairs]), processor.encode([y for _, y in pairs]))
    return [(x, y) for x, y in sides if 0 < len(x) <= LONGEST and 0 < len(y) <= LONGEST]


def made_name(draw):
    """A common first name, or one that nobody has heard: both are copied."""
    if draw.random() < 0.5:
        return draw.choice(NAMES)
    syllables = [draw.choice(STARTS) + draw.choice(VOWELS) for _ in range(draw.randint(1, 2))]
    return (''.join(syllables) + draw.choice(CLOSES)).capitalize()


class Casing:
    """Knows which words keep their capital inside a sentence (German nouns, names)."""
    def __init__(self, sentences):
        self.seen = Counter(word for text in sentences for word in re.findall(r'\w+', text)[1:])

    def open_small(self, text):
        """`text` with its first word as it stands inside a sentence."""
        word = re.match(r'\w+', text)
        if word is None:
            return text
        small = word[0][0].lower() + word[0][1:]
        return text if self.seen[small] <= self.seen[word[0]] else small + text[word.end():]


def drop_marks(x, y):
    if x[-1] in FINAL_MARKS and y[-1] in FINAL_MARKS and x[-2:-1].isalnum() and y[-2:-1].isalnum():
        return x[:-1], y[:-1]
    return x, y


class Variation:
    """One epoch's text: every pair once, some of them changed, plus short, joined and mail sentences."""
    def __init__(self, pairs, seed):
        self.pairs, self.seed = pairs, seed
        self.casing = Casing(y for _, y in pairs)
        self.short = [pair for pair in pairs if len(pair[0].split()) <= SHORT_WORDS]
        self.greetings = [(x, y) for x, y in pairs
                          if GREETING.match(x) and len(x.split()) <= 2 * SHORT_WORDS]
        self.letters = [(x, y) for x, y in pairs if PERSON[0].search(x) and PERSON[1].search(y)]

    def epoch(self, number):
        draw = random.Random(f'{self.seed} {number}')
        pairs = [self.change(draw, *self.refill(draw, x, y)) for x, y in self.pairs]
        pairs += [self.typed(draw, *pair) for pair in draw.sample(self.short, len(self.short) // 3)]
        pairs += [self.typed(draw, *pair) for pair in self.greetings]
        pairs += [self.joined(draw) for _ in range(len(self.pairs) // 18)]
        pairs += [self.mail(draw) for _ in range(len(self.pairs) // 60)]
        return pairs

    def refill(self, draw, x, y):
        """Other numbers and other names than the text has, the same ones on both sides."""
        numbers = NUMBER.findall(x)
        if numbers and sorted(numbers) == sorted(NUMBER.findall(y)) and draw.random() < 0.5:
            if MEASURED.search(x) and len(numbers) == 1 and draw.random() < 0.3:
                part = str(draw.randint(1, 99))
                return NUMBER.sub(lambda n: f'{n[0]}.{part}', x), NUMBER.sub(lambda n: f'{n[0]},{part}', y)
            other = {n: n[0] + ''.join(draw.choice('0123456789') for _ in n[1:]) for n in numbers}
            return NUMBER.sub(lambda n: other[n[0]], x), NUMBER.sub(lambda n: other[n[0]], y)
        if draw.random() < 0.2 and 0 < len(NAMED.findall(x)) == len(NAMED.findall(y)):
            name = made_name(draw)
            return NAMED.sub(name, x), NAMED.sub(name, y)
        return x, y

    def change(self, draw, x, y):
        return self.typed(draw, x, y) if draw.random() < TYPED else (x, y)

    def typed(self, draw, x, y):
        """A sentence as typed in haste: small letters, no final mark, both, or all capitals."""
        chance = draw.random()
        if chance < 0.35:
            return drop_marks(x, y)
        if chance < 0.55:
            return x.lower(), self.casing.open_small(y)
        if chance < 0.80:
            x, y = drop_marks(x, y)
            return x.lower(), self.casing.open_small(y)
        if chance < 0.90:
            x, y = drop_marks(x, y)
        return x.upper(), y.upper()

    def joined(self, draw):
        chosen = [self.refill(draw, *draw.choice(self.pairs)) for _ in range(draw.randint(2, 4))]
        x, y = ' '.join(x for x, _ in chosen), ' '.join(y for _, y in chosen)
        return (x.lower(), y) if draw.random() < 0.05 else (x, y)

    def mail(self, draw):
        person = made_name(draw).lower() + draw.choice([
            '', '.' + made_name(draw).lower(), str(draw.randint(1, 99)), '_' + draw.choice(HOSTS),
            '-' + draw.choice('abcdefgh')])
        host = draw.choice(HOSTS) + draw.choice(['', '-' + draw.choice(HOSTS)])
        address = f'{person}@{host}.{draw.choice(ENDINGS)}'
        if self.letters and draw.random() < 0.5:
            x, y = draw.choice(self.letters)
            return NAMED.sub(address, x), NAMED.sub(address, y)
        x, y = draw.choice(MAIL_FRAMES)
        return x.format(address), y.format(address)


def batches(data, tokens, draw):
    """Lists of pairs of like lengths, `tokens` padded pieces at most on the longer side.

    With `draw` pairs of one length and the batches come in a drawn order.
    """
    order = list(data)
    if draw:
        draw.shuffle(order)
    order.sort(key=lambda pair: (len(pair[1]), len(pair[0])))
    found, current, longest = [], [], 0
    for pair in order:
        length = max(longest, len(pair[0]) + 1, len(pair[1]) + 1)
        if current and length * (len(current) + 1) > tokens:
            found.append(current)
            current, length = [], max(len(pair[0]), len(pair[1])) + 1
        current.append(pair)
        longest = length
    found.append(current)
    if draw:
        draw.shuffle(found)
    return found
