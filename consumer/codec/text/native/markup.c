/*
 * The text of HTML that has nothing but tags, comments and character references: what
 * consumer/codec/text/markup.py does by a regular expression, in a fifth of its time.
 *
 * It reads UTF-8 once, from left to right, and writes UTF-8. Every character that means something
 * to HTML is ASCII, so no other one is looked at. What it does not read (scripts, declarations,
 * sections) it says, and the caller reads that text by the other way.
 *
 * Neither the names of elements nor those of references stand here: the caller hands them over, so
 * that there is one list of each.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

/* Places of a table; twice as many as the standard has names of references. */
#define PLACES 8192
/* The longest name that counts: the standard's longest reference has 31 letters and a semicolon. */
#define LONGEST_NAME 32
/* The longest text that stands for a name: two code points. */
#define LONGEST_TEXT 8

#define NOT_READ (-1)

typedef struct {
    uint8_t name[LONGEST_NAME];
    uint8_t text[LONGEST_TEXT];
    uint8_t name_length;
    uint8_t text_length;
    /* An element: its start tag is not read. */
    uint8_t is_closed_to_us;
} Entry;

static Entry references[PLACES];
static Entry elements[PLACES / 16];

static int is_blank(uint8_t c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

static int is_letter(uint8_t c) {
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

static int is_digit(uint8_t c) {
    return (uint8_t)(c - '0') < 10;
}

/* Whether any of eight bytes is this one. */
static int has_byte(uint64_t eight, uint8_t byte) {
    uint64_t zero_there = eight ^ (0x0101010101010101u * byte);
    return ((zero_there - 0x0101010101010101u) & ~zero_there & 0x8080808080808080u) != 0;
}

static size_t place_of(const uint8_t *name, size_t length, size_t places) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ name[i]) * 16777619u;
    return (hash ^ (hash >> 15)) & (places - 1);
}

static Entry *find(Entry *table, size_t places, const uint8_t *name, size_t length) {
    size_t at = place_of(name, length, places);
    while (table[at].name_length) {
        if (table[at].name_length == length && !memcmp(table[at].name, name, length)) break;
        at = (at + 1) & (places - 1);
    }
    return &table[at];
}

static int add(Entry *table, size_t places, size_t most, size_t *count, const uint8_t *name,
               size_t name_length, const uint8_t *text, size_t text_length, int is_closed_to_us) {
    if (!name_length || name_length > LONGEST_NAME || text_length > LONGEST_TEXT) return 0;
    Entry *entry = find(table, places, name, name_length);
    if (!entry->name_length && ++*count > most) return 0;
    memcpy(entry->name, name, name_length);
    memcpy(entry->text, text, text_length);
    entry->name_length = (uint8_t)name_length;
    entry->text_length = (uint8_t)text_length;
    entry->is_closed_to_us = (uint8_t)is_closed_to_us;
    return 1;
}

/* A name of a reference, with its semicolon if it has one. 0 where it does not fit. */
EXPORTED int nerstream_add_reference(const uint8_t *name, size_t name_length, const uint8_t *text,
                                     size_t text_length) {
    static size_t count;
    return add(references, PLACES, PLACES / 2, &count, name, name_length, text, text_length, 0);
}

/* An element, in lower case, and what stands in the place of its tags. 0 where it does not fit. */
EXPORTED int nerstream_add_element(const uint8_t *name, size_t name_length, const uint8_t *text,
                                   size_t text_length, int is_closed_to_us) {
    static size_t count;
    return add(elements, PLACES / 16, PLACES / 32, &count, name, name_length, text, text_length,
               is_closed_to_us);
}

/* Behind a tag whose attributes begin at `at`. A quote counts only behind an equals sign, and that
 * only behind a name, which may itself begin with one. */
static size_t behind_attributes(const uint8_t *s, size_t at, size_t size) {
    while (at < size) {
        uint8_t c = s[at];
        if (c == '>') return at + 1;
        at++;
        if (is_blank(c) || c == '/') continue;
        while (at < size && !is_blank(s[at]) && s[at] != '/' && s[at] != '>' && s[at] != '=') at++;
        size_t value = at;
        while (value < size && is_blank(s[value])) value++;
        if (value == size || s[value] != '=') continue;
        at = value + 1;
        while (at < size && is_blank(s[at])) at++;
        if (at == size) return size;
        if (s[at] == '"' || s[at] == '\'') {
            const uint8_t *end = memchr(s + at + 1, s[at], size - at - 1);
            if (!end) return size;
            at = (size_t)(end - s) + 1;
        } else {
            while (at < size && !is_blank(s[at]) && s[at] != '>') at++;
        }
    }
    return size;
}

/* Behind a comment; `at` is behind its `<!--`. */
static size_t behind_comment(const uint8_t *s, size_t at, size_t size) {
    if (at < size && s[at] == '>') return at + 1;
    if (at + 1 < size && s[at] == '-' && s[at + 1] == '>') return at + 2;
    while (at < size) {
        const uint8_t *dash = memchr(s + at, '-', size - at);
        if (!dash) break;
        at = (size_t)(dash - s) + 1;
        if (at >= size || s[at] != '-') continue;
        if (at + 1 < size && s[at + 1] == '>') return at + 2;
        if (at + 2 < size && s[at + 1] == '!' && s[at + 2] == '>') return at + 3;
    }
    return size;
}

static size_t write_code_point(uint8_t *to, uint32_t c) {
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xC0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xE0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        to[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (uint8_t)(0xF0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    to[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

/* What Windows wrote where the standard has control characters; 0 stays as it is. */
static const uint16_t WINDOWS[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178,
};

static int digit_of(uint8_t c, uint32_t base) {
    if (is_digit(c)) return c - '0';
    c |= 0x20;
    return base == 16 && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A reference by number at `at` behind its `&#`. How many bytes it takes from there, 0 where it is
 * none. */
static size_t numbered(const uint8_t *s, size_t at, size_t size, uint8_t *to, size_t *written) {
    size_t start = at;
    uint32_t base = 10, number = 0;
    if (at < size && (s[at] == 'x' || s[at] == 'X')) {
        base = 16;
        at++;
    }
    size_t digits = at;
    int significant = 0;
    for (int digit; at < size && (digit = digit_of(s[at], base)) >= 0; at++) {
        /* Beyond seven digits only their count matters, which must not overflow either. */
        if (significant || digit) significant += significant < 8;
        if (significant < 8) number = number * base + (uint32_t)digit;
    }
    if (at == digits) return 0;
    if (at < size && s[at] == ';') at++;
    if (!significant || significant > 7 || number > 0x10FFFF ||
        (number >= 0xD800 && number <= 0xDFFF))
        number = 0xFFFD;
    if (number >= 0x80 && number <= 0x9F && WINDOWS[number - 0x80]) number = WINDOWS[number - 0x80];
    *written = write_code_point(to, number);
    return at - start;
}

/* A reference by name at `at` behind its `&`. As `numbered`. */
static size_t named(const uint8_t *s, size_t at, size_t size, uint8_t *to, size_t *written) {
    size_t length = 0;
    if (at < size && is_letter(s[at]))
        while (length < LONGEST_NAME - 1 && at + length < size &&
               (is_letter(s[at + length]) || is_digit(s[at + length])))
            length++;
    if (!length) return 0;
    if (at + length < size && s[at + length] == ';') length++;
    /* The standard's longest name without a semicolon has six letters; a shorter one may be the
     * beginning of what stands here. */
    for (size_t tried = length; tried > 1; tried = tried > 7 ? 6 : tried - 1) {
        const Entry *entry = find(references, PLACES, s + at, tried);
        if (entry->name_length) {
            memcpy(to, entry->text, entry->text_length);
            *written = entry->text_length;
            return tried;
        }
    }
    return 0;
}

/*
 * The text of `source`.
 *
 * source  UTF-8, `size` bytes.
 * text    room for 2 * size bytes: no reference stands for more than twice its length.
 *
 * Returns the bytes of the text, or NOT_READ.
 */
EXPORTED ptrdiff_t nerstream_text_of_markup(const uint8_t *source, size_t size, uint8_t *text) {
    size_t at = 0, out = 0;
    while (at < size) {
        /* Eight at a time, as long as none of them means anything. The text has room for them: what
         * stands for a piece of the source is never twice as long. */
        for (uint64_t eight; size - at >= 8; at += 8, out += 8) {
            memcpy(&eight, source + at, 8);
            if (has_byte(eight, '<') || has_byte(eight, '&')) break;
            memcpy(text + out, &eight, 8);
        }
        while (at < size && source[at] != '<' && source[at] != '&') text[out++] = source[at++];
        if (at == size) break;
        size_t next = at + 1;
        if (source[at] == '&') {
            size_t written = 0;
            size_t taken = next < size && source[next] == '#'
                               ? numbered(source, next + 1, size, text + out, &written)
                               : named(source, next, size, text + out, &written);
            if (taken) {
                at = next + taken + (source[next] == '#');
                out += written;
            } else {
                text[out++] = '&';
                at = next;
            }
            continue;
        }
        int is_end = next < size && source[next] == '/';
        size_t name = next + (size_t)is_end;
        if (name < size && is_letter(source[name])) {
            uint8_t lower[LONGEST_NAME];
            size_t end = name;
            while (end < size && !is_blank(source[end]) && source[end] != '/' &&
                   source[end] != '>') {
                uint8_t c = source[end];
                /* Python folds the case of such letters too, some of them to ASCII. */
                if (c >= 0x80) return NOT_READ;
                if (end - name < LONGEST_NAME)
                    lower[end - name] = (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
                end++;
            }
            if (end - name <= LONGEST_NAME) {
                const Entry *entry = find(elements, PLACES / 16, lower, end - name);
                if (entry->is_closed_to_us && !is_end) return NOT_READ;
                memcpy(text + out, entry->text, entry->text_length);
                out += entry->text_length;
            }
            at = behind_attributes(source, end, size);
        } else if (size - next >= 3 && !memcmp(source + next, "!--", 3)) {
            at = behind_comment(source, next + 3, size);
        } else if (name < size && (is_end || source[next] == '!' || source[next] == '?')) {
            return NOT_READ;
        } else {
            text[out++] = '<';
            at = next;
        }
    }
    return (ptrdiff_t)out;
}
