/* Calls of consumer/tagging/engine/cpu/native/layer.c with memory that is as large as it must be
 * and not a byte more. The source is included on the compiler's command line. */
#include <stdio.h>
#include <stdlib.h>
#include <math.h>

static float *floats(int32_t count) {
    float *found = malloc(sizeof(float) * count);
    for (int32_t i = 0; i < count; i++) found[i] = (float)(i % 13) / 7 - 0.8f;
    return found;
}

static Linear linear(int32_t inputs, int32_t outputs) {
    int16_t *panels = malloc(sizeof(int16_t) * inputs * outputs);
    for (int32_t i = 0; i < inputs * outputs; i++) panels[i] = (int16_t)(i % 11 - 5);
    Linear found = {panels, floats(outputs), floats(outputs), inputs, outputs};
    return found;
}

/* `free` takes no const. */
static void release(const void *memory) {
    free((void *)(uintptr_t)memory);
}

static void drop(Linear *one) {
    release(one->panels), release(one->scales), release(one->bias);
}

int main(void) {
    if (!nerstream_can_multiply()) return 0;
    int calls = 0;
    for (int32_t width = 16; width <= 48; width += 16)
        for (int32_t wide = 16; wide <= 80; wide += 32) {
            Layer layer = {linear(width, width), linear(width, wide), linear(wide, width),
                           {floats(width), floats(width), 1e-12f},
                           {floats(width), floats(width), 1e-12f}};
            for (int32_t tokens = 1; tokens <= 400; tokens += tokens < 14 ? 1 : 43) {
                float *attended = floats(tokens * width), *hidden = floats(tokens * width);
                float *outputs = malloc(sizeof(float) * tokens * width);
                float *more = malloc(sizeof(float) * tokens * wide);
                void *work = malloc(nerstream_layer_work(wide > width ? wide : width));
                nerstream_finish(&layer, attended, hidden, outputs, tokens, work);
                free(work);
                work = malloc(nerstream_layer_work(width));
                nerstream_multiply(&layer.up, hidden, more, tokens, work);
                for (int32_t i = 0; i < tokens * width; i++)
                    if (!isfinite(outputs[i])) return 2;
                for (int32_t i = 0; i < tokens * wide; i++)
                    if (!isfinite(more[i])) return 3;
                free(attended), free(hidden), free(outputs), free(more), free(work);
                calls++;
            }
            drop(&layer.out), drop(&layer.up), drop(&layer.down);
            release(layer.attention_norm.weight), release(layer.attention_norm.bias);
            release(layer.output_norm.weight), release(layer.output_norm.bias);
        }
    printf("%d calls\n", calls);
    return 0;
}
