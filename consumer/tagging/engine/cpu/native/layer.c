/* An encoder's layer beside its attention, with matmuls of 16-bit integers, for processors with
 * AVX2 and no better. One instruction multiplies 16 pairs of integers and adds each product to its
 * neighbour, where one for float32 multiplies 8.
 *
 * A matmul's inputs are quantized row by row, the largest of a row to ROW_LIMIT. Its weights have a
 * scale for each output, so large that no sum can leave 32 bits. Everything else is float32.
 * The tokens go through the layer a block at a time, which stays in the caches meanwhile.
 *
 * consumer/tagging/engine/cpu/layers/native_layer.py calls it, and checks what it is called with.
 */
#include "kernels.h"

/* consumer/tagging/engine/cpu/layers/int16_weights.py has the same structures: */

typedef struct {
    const int16_t *panels; /* (outputs / COLUMNS, inputs / 2, COLUMNS, 2) */
    const float *scales;   /* (outputs) */
    const float *bias;     /* (outputs) */
    int32_t inputs, outputs;
} Linear;

typedef struct {
    const float *weight, *bias; /* (width) */
    float epsilon;
} Norm;

typedef struct {
    Linear out, up, down;
    Norm attention_norm, output_norm;
} Layer;

#ifdef HAS_KERNELS

#include <cpuid.h>

/* Tokens of a block, a multiple of ROWS. */
enum { BLOCK = 192 };

enum { ROW_LIMIT = 4095 };

/* Rows whose largest value is smaller become zeros: one over their scale would be too large. */
static const float SMALLEST = 1e-30f;

typedef enum { AS_IT_IS, WITH_GELU, PLUS } Ending;

/* The memory that a block works in. */
typedef struct {
    float *wide;       /* (BLOCK, widest): outputs of the matmul in the middle */
    float *scales;     /* (BLOCK) */
    int16_t *integers; /* (BLOCK, widest) */
} Work;

/* Rows to integers, and the scale of each. A row that holds NaN or an infinity gets a scale that is
 * NaN. The last ROWS rows are filled up with zeros. */
INLINE void quantize(const float *inputs, int rows, int width, const Work *work) {
    const __m256 unsigned_bits = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    for (int row = 0; row < rows; row++) {
        const float *from = inputs + (size_t)row * width;
        int16_t *to = work->integers + (size_t)row * width;
        __m256 most = _mm256_setzero_ps(), none = _mm256_setzero_ps();
        for (int place = 0; place < width; place += LANES) {
            __m256 values = _mm256_loadu_ps(from + place);
            most = _mm256_max_ps(most, _mm256_and_ps(values, unsigned_bits));
            none = _mm256_fmadd_ps(values, _mm256_setzero_ps(), none);
        }
        float high = largest(most);
        work->scales[row] = high / ROW_LIMIT + total(none);
        __m256 inverse = _mm256_set1_ps(high >= SMALLEST ? ROW_LIMIT / high : 0.0f);
        for (int place = 0; place < width; place += COLUMNS) {
            __m256 left = _mm256_mul_ps(_mm256_loadu_ps(from + place), inverse);
            __m256 right = _mm256_mul_ps(_mm256_loadu_ps(from + place + LANES), inverse);
            __m256i both = _mm256_packs_epi32(_mm256_cvtps_epi32(left), _mm256_cvtps_epi32(right));
            _mm256_storeu_si256((__m256i *)(to + place), _mm256_permute4x64_epi64(both, 0xd8));
        }
    }
    int filling = (ROWS - rows % ROWS) % ROWS;
    memset(work->integers + (size_t)rows * width, 0, (size_t)filling * width * sizeof(int16_t));
    for (int row = rows; row < rows + filling; row++)
        work->scales[row] = 0.0f;
}

/* The sums of ROWS rows with one panel. It is written in the processor's own instructions, since
 * compilers run out of registers: 12 for sums, two for the columns, one for the row, one for the
 * products. */
INLINE void multiply(const int16_t *rows, size_t width, const int16_t *panel,
                     __m256i sums[ROWS][2]) {
    UNROLLED for (int row = 0; row < ROWS; row++)
        sums[row][0] = sums[row][1] = _mm256_setzero_si256();
    for (size_t place = 0; place < width; place += 2) {
        __m256i left = _mm256_loadu_si256((const __m256i *)(panel + place * COLUMNS));
        __m256i right = _mm256_loadu_si256((const __m256i *)(panel + place * COLUMNS + COLUMNS));
        UNROLLED for (int row = 0; row < ROWS; row++) {
            const int32_t *pair = (const int32_t *)(rows + row * width + place);
            __m256i factor, product;
            __asm__("vpbroadcastd %[pair], %[factor]\n\t"
                    "vpmaddwd %[left], %[factor], %[product]\n\t"
                    "vpaddd %[product], %[one], %[one]\n\t"
                    "vpmaddwd %[right], %[factor], %[factor]\n\t"
                    "vpaddd %[factor], %[two], %[two]"
                    : [one] "+x"(sums[row][0]), [two] "+x"(sums[row][1]), [factor] "=&x"(factor),
                      [product] "=&x"(product)
                    : [pair] "m"(*pair), [left] "x"(left), [right] "x"(right));
        }
    }
}

/* The exact GELU, by Abramowitz and Stegun's formula 7.1.26 for the error function, which is wrong
 * by 1.5e-7 at most. */
INLINE __m256 gelu(__m256 values) {
    __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), values);
    __m256 one = _mm256_set1_ps(1.0f);
    /* 0.3275911 over the root of 2. */
    __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(size, _mm256_set1_ps(0.23164189f), one));
    __m256 sum = _mm256_set1_ps(0.5f * 1.061405429f);
    sum = _mm256_fmadd_ps(sum, t, _mm256_set1_ps(0.5f * -1.453152027f));
    sum = _mm256_fmadd_ps(sum, t, _mm256_set1_ps(0.5f * 1.421413741f));
    sum = _mm256_fmadd_ps(sum, t, _mm256_set1_ps(0.5f * -0.284496736f));
    sum = _mm256_fmadd_ps(sum, t, _mm256_set1_ps(0.5f * 0.254829592f));
    /* The exponential of -x^2/2. */
    __m256 square = _mm256_mul_ps(size, _mm256_mul_ps(size, _mm256_set1_ps(-0.72134752f)));
    __m256 tail = _mm256_mul_ps(_mm256_mul_ps(sum, t), exponentials(square));
    /* The order matters: where one of the two is NaN, the second is taken. */
    return _mm256_fnmadd_ps(size, tail, _mm256_max_ps(_mm256_setzero_ps(), values));
}

/* What the integers at hand give. `addend` has the shape of the outputs, which it may be. */
INLINE void run(const Linear *linear, const Work *work, int rows, const Ending ending,
                const float *addend, float *outputs) {
    size_t width = (size_t)linear->inputs;
    for (int column = 0; column < linear->outputs; column += COLUMNS) {
        const int16_t *panel = linear->panels + column * width;
        for (int first = 0; first < rows; first += ROWS) {
            __m256i sums[ROWS][2];
            multiply(work->integers + first * width, width, panel, sums);
            UNROLLED for (int row = 0; row < ROWS; row++) {
                if (first + row >= rows)
                    continue;
                __m256 scale = _mm256_set1_ps(work->scales[first + row]);
                size_t place = (size_t)(first + row) * linear->outputs + column;
                UNROLLED for (int half = 0; half < 2; half++) {
                    int at = column + half * LANES;
                    __m256 scales = _mm256_mul_ps(scale, _mm256_loadu_ps(linear->scales + at));
                    __m256 found = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[row][half]), scales,
                                                   _mm256_loadu_ps(linear->bias + at));
                    if (ending == WITH_GELU)
                        found = gelu(found);
                    if (ending == PLUS)
                        found = _mm256_add_ps(found, _mm256_loadu_ps(addend + place + half * LANES));
                    _mm256_storeu_ps(outputs + place + half * LANES, found);
                }
            }
        }
    }
}

/* Layer normalisation, in place. */
INLINE void normalize(const Norm *norm, int rows, int width, float *values) {
    for (int row = 0; row < rows; row++) {
        float *at = values + (size_t)row * width;
        __m256 left = _mm256_setzero_ps(), right = left;
        for (int place = 0; place < width; place += COLUMNS) {
            left = _mm256_add_ps(left, _mm256_loadu_ps(at + place));
            right = _mm256_add_ps(right, _mm256_loadu_ps(at + place + LANES));
        }
        __m256 mean = _mm256_set1_ps(total(_mm256_add_ps(left, right)) / (float)width);
        left = right = _mm256_setzero_ps();
        for (int place = 0; place < width; place += COLUMNS) {
            __m256 one = _mm256_sub_ps(_mm256_loadu_ps(at + place), mean);
            __m256 two = _mm256_sub_ps(_mm256_loadu_ps(at + place + LANES), mean);
            left = _mm256_fmadd_ps(one, one, left);
            right = _mm256_fmadd_ps(two, two, right);
        }
        float variance = total(_mm256_add_ps(left, right)) / (float)width;
        __m256 scale = _mm256_div_ps(_mm256_set1_ps(1.0f),
                                     _mm256_sqrt_ps(_mm256_set1_ps(variance + norm->epsilon)));
        for (int place = 0; place < width; place += LANES) {
            __m256 one = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(at + place), mean), scale);
            one = _mm256_fmadd_ps(one, _mm256_loadu_ps(norm->weight + place),
                                  _mm256_loadu_ps(norm->bias + place));
            _mm256_storeu_ps(at + place, one);
        }
    }
}

static Work work_of(void *memory, int32_t widest) {
    Work work = {.wide = memory};
    work.scales = work.wide + (size_t)BLOCK * widest;
    work.integers = (int16_t *)(work.scales + BLOCK);
    return work;
}

static int rows_of(int32_t tokens, int32_t first) {
    return tokens - first < BLOCK ? tokens - first : BLOCK;
}

EXPORTED int32_t nerstream_can_multiply(void) {
    return has_instructions();
}

/* Whether matmuls of 16-bit integers are known to be faster here than those of float32. They were
 * measured on AMD's Zen 3, which begins two of these multiplications at a time. A processor that
 * begins one gains nothing by them, and one with AVX-512 has float32 at twice the width. */
EXPORTED int32_t nerstream_multiplies_fast(void) {
    uint32_t most, vendor[3], signature, others[3];
    if (!has_instructions() || !__get_cpuid(0, &most, &vendor[0], &vendor[2], &vendor[1]) ||
        !__get_cpuid(1, &signature, &others[0], &others[1], &others[2]))
        return 0;
    uint32_t family = (signature >> 8 & 15) + (signature >> 20 & 255);
    return memcmp(vendor, "AuthenticAMD", sizeof vendor) == 0 && family >= 0x19;
}

/* Inputs and outputs of a matmul are a multiple of so many. */
EXPORTED int32_t nerstream_width_step(void) {
    return COLUMNS;
}

/* Largest integer of a row. */
EXPORTED int32_t nerstream_row_limit(void) {
    return ROW_LIMIT;
}

/* Bytes of the memory that a call works in, which is nobody else's meanwhile.
 *
 * widest: most inputs or outputs of a matmul.
 */
EXPORTED int64_t nerstream_layer_work(int32_t widest) {
    return (int64_t)BLOCK * (widest * (sizeof(float) + sizeof(int16_t)) + sizeof(float));
}

/* One matmul: (tokens, inputs) to (tokens, outputs).
 *
 * work: nerstream_layer_work() of its inputs.
 */
EXPORTED TARGET void nerstream_multiply(const Linear *linear, const float *inputs, float *outputs,
                                        int32_t tokens, void *memory) {
    Work work = work_of(memory, linear->inputs);
    for (int32_t first = 0; first < tokens; first += BLOCK) {
        int rows = rows_of(tokens, first);
        quantize(inputs + (size_t)first * linear->inputs, rows, linear->inputs, &work);
        run(linear, &work, rows, AS_IT_IS, NULL, outputs + (size_t)first * linear->outputs);
    }
}

/* What comes after attention: its matmul, residual and normalisation, and the feed-forward part.
 *
 * attended: (tokens, out->inputs).
 * hidden: what came into the layer, (tokens, out->outputs).
 * outputs: what goes out, as large; elsewhere.
 * work: nerstream_layer_work() of the widest matmul.
 */
EXPORTED TARGET void nerstream_finish(const Layer *layer, const float *attended,
                                      const float *hidden, float *outputs, int32_t tokens,
                                      void *memory) {
    const Linear *out = &layer->out, *up = &layer->up, *down = &layer->down;
    int32_t width = out->outputs;
    Work work = work_of(memory, up->outputs > out->inputs ? up->outputs : out->inputs);
    for (int32_t first = 0; first < tokens; first += BLOCK) {
        int rows = rows_of(tokens, first);
        float *values = outputs + (size_t)first * width;
        quantize(attended + (size_t)first * out->inputs, rows, out->inputs, &work);
        run(out, &work, rows, PLUS, hidden + (size_t)first * width, values);
        normalize(&layer->attention_norm, rows, width, values);
        quantize(values, rows, width, &work);
        run(up, &work, rows, WITH_GELU, NULL, work.wide);
        quantize(work.wide, rows, up->outputs, &work);
        run(down, &work, rows, PLUS, values, values);
        normalize(&layer->output_norm, rows, width, values);
    }
}

#else

/* A library without the kernel, for any other processor or compiler: it says so. */

EXPORTED int32_t nerstream_can_multiply(void) {
    return 0;
}

EXPORTED int32_t nerstream_multiplies_fast(void) {
    return 0;
}

EXPORTED int32_t nerstream_width_step(void) {
    return 1;
}

EXPORTED int32_t nerstream_row_limit(void) {
    return 1;
}

EXPORTED int64_t nerstream_layer_work(int32_t widest) {
    (void)widest;
    return 0;
}

EXPORTED void nerstream_multiply(const Linear *linear, const float *inputs, float *outputs,
                                 int32_t tokens, void *memory) {
    (void)linear, (void)inputs, (void)outputs, (void)tokens, (void)memory;
}

EXPORTED void nerstream_finish(const Layer *layer, const float *attended, const float *hidden,
                               float *outputs, int32_t tokens, void *memory) {
    (void)layer, (void)attended, (void)hidden, (void)outputs, (void)tokens, (void)memory;
}

#endif
