/* Reads pieces of mark-up by consumer/codec/text/native/markup.c, each in a block of exactly its
 * length, into one of twice that. The source is included on the compiler's command line.
 *
 * Its argument is a file of pieces: 4 bytes of length, in the machine's order, then as many bytes. */
#include <stdio.h>
#include <stdlib.h>

static void know(const char *name, const char *text, int closed) {
    nerstream_add_element((const uint8_t *)name, strlen(name), (const uint8_t *)text, strlen(text),
                          closed);
}

int main(int count_of_arguments, char **arguments) {
    if (count_of_arguments != 2) return 3;
    know("p", "\n\n", 0);
    know("br", "\n", 0);
    know("script", "", 1);
    const char *names[] = {"amp;", "amp", "not", "nGt;", "CounterClockwiseContourIntegral;"};
    const char *texts[] = {"&", "&", "\xC2\xAC", "\xE2\x89\xAB\xE2\x83\x92",
                           "\xE2\x88\xB3"};
    for (int i = 0; i < 5; i++)
        nerstream_add_reference((const uint8_t *)names[i], strlen(names[i]),
                                (const uint8_t *)texts[i], strlen(texts[i]));
    FILE *file = fopen(arguments[1], "rb");
    unsigned size, count = 0;
    while (fread(&size, sizeof size, 1, file) == 1) {
        uint8_t *source = malloc(size), *text = malloc(2 * size);
        if (fread(source, 1, size, file) != size) return 1;
        ptrdiff_t length = nerstream_text_of_markup(source, size, text);
        if (length > (ptrdiff_t)(2 * size)) return 2;
        free(source);
        free(text);
        count++;
    }
    fclose(file);
    printf("%u calls\n", count);
    return 0;
}
