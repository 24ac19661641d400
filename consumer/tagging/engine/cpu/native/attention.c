/* Attention within windows, in float32, for processors with AVX2 and FMA.
 *
 * A window is computed head by head. Keys and values are copied into panels of 16 columns. Then six
 * queries at a time go all the way while all of it is in the caches: scores with all keys,
 * exponentials of two, the mean of the values. No score is ever written for more than six queries.
 *
 * consumer/tagging/engine/cpu/native_attention.py calls it, and checks what it is called with.
 */
#include "kernels.h"

#ifdef HAS_KERNELS

static const float NOTHING = -__builtin_inff();

typedef struct {
    const float *query, *key, *value; /* of the head, in the first row of queries, of the window */
    const int32_t *rows;              /* the row of each query */
    int queries, keys;
    size_t stride;                    /* floats from a row to the next */
    float *attended;
    size_t attended_stride;
} Head;

typedef struct {
    float *keys;    /* panels of COLUMNS keys: (panel, head_size, COLUMNS) */
    float *values;  /* panels of COLUMNS floats: (panel, padded, COLUMNS) */
    float *scores;  /* (ROWS, padded) */
    float *queries; /* (ROWS, head_size) */
} Work;

static size_t padded_keys(size_t keys) {
    return (keys + COLUMNS - 1) / COLUMNS * COLUMNS;
}

INLINE void transpose(const __m256 in[LANES], __m256 out[LANES]) {
    __m256 pairs[LANES], fours[LANES];
    UNROLLED for (int i = 0; i < 4; i++) {
        pairs[2 * i] = _mm256_unpacklo_ps(in[2 * i], in[2 * i + 1]);
        pairs[2 * i + 1] = _mm256_unpackhi_ps(in[2 * i], in[2 * i + 1]);
    }
    UNROLLED for (int i = 0; i < 2; i++) {
        fours[4 * i] = _mm256_shuffle_ps(pairs[4 * i], pairs[4 * i + 2], 0x44);
        fours[4 * i + 1] = _mm256_shuffle_ps(pairs[4 * i], pairs[4 * i + 2], 0xee);
        fours[4 * i + 2] = _mm256_shuffle_ps(pairs[4 * i + 1], pairs[4 * i + 3], 0x44);
        fours[4 * i + 3] = _mm256_shuffle_ps(pairs[4 * i + 1], pairs[4 * i + 3], 0xee);
    }
    UNROLLED for (int i = 0; i < 4; i++) {
        out[i] = _mm256_permute2f128_ps(fours[i], fours[4 + i], 0x20);
        out[4 + i] = _mm256_permute2f128_ps(fours[i], fours[4 + i], 0x31);
    }
}

/* Keys as columns. Those that fill up the last panel are zeros. */
INLINE void copy_keys(const Head *head, int head_size, float *panels) {
    int padded = (int)padded_keys((size_t)head->keys);
    for (int first = 0; first < padded; first += LANES)
        for (int part = 0; part < head_size; part += LANES) {
            __m256 rows[LANES], columns[LANES];
            UNROLLED for (int i = 0; i < LANES; i++) {
                int key = first + i;
                rows[i] = key < head->keys
                    ? _mm256_loadu_ps(head->key + (size_t)key * head->stride + part)
                    : _mm256_setzero_ps();
            }
            transpose(rows, columns);
            float *panel = panels + (size_t)(first / COLUMNS) * head_size * COLUMNS;
            float *to = panel + (size_t)part * COLUMNS + first % COLUMNS;
            UNROLLED for (int i = 0; i < LANES; i++)
                _mm256_storeu_ps(to + (size_t)i * COLUMNS, columns[i]);
        }
}

INLINE void copy_values(const Head *head, int head_size, float *panels) {
    size_t padded = padded_keys((size_t)head->keys);
    for (int part = 0; part < head_size; part += COLUMNS)
        for (int key = 0; key < head->keys; key++)
            memcpy(panels + part * padded + (size_t)key * COLUMNS,
                   head->value + (size_t)key * head->stride + part, COLUMNS * sizeof(float));
}

/* Dot products of ROWS rows with the columns of one panel. */
INLINE void multiply(const float *rows, size_t stride, const float *panel, int depth,
                     __m256 sums[ROWS][2]) {
    UNROLLED for (int row = 0; row < ROWS; row++)
        sums[row][0] = sums[row][1] = _mm256_setzero_ps();
    for (int place = 0; place < depth; place++) {
        __m256 left = _mm256_loadu_ps(panel + (size_t)place * COLUMNS);
        __m256 right = _mm256_loadu_ps(panel + (size_t)place * COLUMNS + LANES);
        UNROLLED for (int row = 0; row < ROWS; row++) {
            __m256 factor = _mm256_broadcast_ss(rows + row * stride + place);
            sums[row][0] = _mm256_fmadd_ps(factor, left, sums[row][0]);
            sums[row][1] = _mm256_fmadd_ps(factor, right, sums[row][1]);
        }
    }
}

/* Scores of ROWS queries with all keys, and each row's largest. What fills up the last panel has
 * no score, so that it counts nothing. */
INLINE void score(const Head *head, int head_size, const Work *work, float most[ROWS]) {
    size_t padded = padded_keys((size_t)head->keys);
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256 nothing = _mm256_set1_ps(NOTHING), highest[ROWS];
    UNROLLED for (int row = 0; row < ROWS; row++)
        highest[row] = nothing;
    for (int first = 0; first < head->keys; first += COLUMNS) {
        __m256 sums[ROWS][2];
        multiply(work->queries, head_size, work->keys + (size_t)first * head_size, head_size, sums);
        int left = head->keys - first;
        if (left < COLUMNS) {
            __m256i ends[2] = {_mm256_set1_epi32(left), _mm256_set1_epi32(left - LANES)};
            UNROLLED for (int row = 0; row < ROWS; row++)
                for (int half = 0; half < 2; half++) {
                    __m256 is_key = _mm256_castsi256_ps(_mm256_cmpgt_epi32(ends[half], lanes));
                    sums[row][half] = _mm256_blendv_ps(nothing, sums[row][half], is_key);
                }
        }
        UNROLLED for (int row = 0; row < ROWS; row++) {
            float *to = work->scores + row * padded + first;
            _mm256_storeu_ps(to, sums[row][0]);
            _mm256_storeu_ps(to + LANES, sums[row][1]);
            highest[row] = _mm256_max_ps(highest[row], _mm256_max_ps(sums[row][0], sums[row][1]));
        }
    }
    for (int row = 0; row < ROWS; row++)
        most[row] = largest(highest[row]);
}

/* Scores to exponentials, the largest of a row to 1, and one over each row's denominator. */
INLINE void raise(const Head *head, const Work *work, const float most[ROWS], float shares[ROWS]) {
    size_t padded = padded_keys((size_t)head->keys);
    for (int row = 0; row < ROWS; row++) {
        float *scores = work->scores + row * padded;
        __m256 level = _mm256_set1_ps(most[row]);
        __m256 left = _mm256_setzero_ps(), right = left;
        for (size_t place = 0; place < padded; place += COLUMNS) {
            __m256 one = exponentials(_mm256_sub_ps(_mm256_loadu_ps(scores + place), level));
            __m256 two = exponentials(_mm256_sub_ps(_mm256_loadu_ps(scores + place + LANES), level));
            _mm256_storeu_ps(scores + place, one);
            _mm256_storeu_ps(scores + place + LANES, two);
            left = _mm256_add_ps(left, one);
            right = _mm256_add_ps(right, two);
        }
        shares[row] = 1.0f / total(_mm256_add_ps(left, right));
    }
}

TARGET static void attend_head(const Head *head, int head_size, const Work *work) {
    size_t padded = padded_keys((size_t)head->keys);
    copy_keys(head, head_size, work->keys);
    copy_values(head, head_size, work->values);
    for (int first = 0; first < head->queries; first += ROWS) {
        int rows = head->queries - first < ROWS ? head->queries - first : ROWS;
        /* The first query stands for those that the last six lack; their answers are dropped. */
        for (int row = 0; row < ROWS; row++)
            memcpy(work->queries + (size_t)row * head_size,
                   head->query + (size_t)head->rows[first + (row < rows ? row : 0)] * head->stride,
                   (size_t)head_size * sizeof(float));
        float most[ROWS], shares[ROWS];
        score(head, head_size, work, most);
        raise(head, work, most, shares);
        for (int part = 0; part < head_size; part += COLUMNS) {
            __m256 sums[ROWS][2];
            multiply(work->scores, padded, work->values + part * padded, head->keys, sums);
            UNROLLED for (int row = 0; row < ROWS; row++) {
                if (row < rows) {
                    __m256 share = _mm256_set1_ps(shares[row]);
                    float *to = head->attended + (first + row) * head->attended_stride + part;
                    _mm256_storeu_ps(to, _mm256_mul_ps(sums[row][0], share));
                    _mm256_storeu_ps(to + LANES, _mm256_mul_ps(sums[row][1], share));
                }
            }
        }
    }
}

/* Whether it runs on this processor. */
EXPORTED int32_t nerstream_can_attend(void) {
    return has_instructions();
}

/* Heads are a multiple of so many floats wide. */
EXPORTED int32_t nerstream_head_size_step(void) {
    return COLUMNS;
}

/* Floats of the memory that a call works in. */
EXPORTED int64_t nerstream_work_size(int32_t longest, int32_t head_size) {
    int64_t padded = (int64_t)padded_keys((size_t)longest);
    return 2 * padded * head_size + ROWS * padded + ROWS * (int64_t)head_size;
}

/* Attention of all heads within each window.
 *
 * inputs: queries, keys and values side by side, (tokens, 3 * heads * head_size); dot
 *     products of queries with keys are exponents of two.
 * attended: what comes of it, (queries, heads * head_size).
 * window_ends: the token after each window.
 * query_rows: the token of each query, those of a window together, in the order of the windows.
 * query_ends: the query after those of each window.
 * head_size: a multiple of nerstream_head_size_step().
 * work: nerstream_work_size() of the longest window; nobody else's during the call.
 */
EXPORTED void nerstream_attend(const float *inputs, float *attended, const int32_t *window_ends,
                               const int32_t *query_rows, const int32_t *query_ends,
                               int32_t windows, int32_t heads, int32_t head_size, float *work) {
    size_t width = (size_t)heads * head_size;
    int32_t token = 0, query = 0;
    for (int32_t window = 0; window < windows; window++) {
        const float *first = inputs + token * 3 * width;
        int32_t keys = window_ends[window] - token, queries = query_ends[window] - query;
        size_t padded = padded_keys((size_t)keys);
        Work parts = {.keys = work, .values = work + padded * head_size};
        parts.scores = parts.values + padded * head_size;
        parts.queries = parts.scores + ROWS * padded;
        for (int32_t number = 0; queries > 0 && number < heads; number++) {
            size_t offset = (size_t)number * head_size;
            Head head = {
                .query = inputs + offset,
                .key = first + width + offset,
                .value = first + 2 * width + offset,
                .rows = query_rows + query,
                .queries = queries,
                .keys = keys,
                .stride = 3 * width,
                .attended = attended + query * width + offset,
                .attended_stride = width,
            };
            attend_head(&head, head_size, &parts);
        }
        token = window_ends[window];
        query = query_ends[window];
    }
}

#else

/* A library without the kernel, for any other processor or compiler: it says so. */

EXPORTED int32_t nerstream_can_attend(void) {
    return 0;
}

EXPORTED int32_t nerstream_head_size_step(void) {
    return 1;
}

EXPORTED int64_t nerstream_work_size(int32_t longest, int32_t head_size) {
    (void)longest;
    (void)head_size;
    return 0;
}

EXPORTED void nerstream_attend(const float *inputs, float *attended, const int32_t *window_ends,
                               const int32_t *query_rows, const int32_t *query_ends,
                               int32_t windows, int32_t heads, int32_t head_size, float *work) {
    (void)inputs, (void)attended, (void)window_ends, (void)query_rows, (void)query_ends;
    (void)windows, (void)heads, (void)head_size, (void)work;
}

#endif
