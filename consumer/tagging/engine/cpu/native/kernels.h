/* What the kernels have in common. They are plain C without any of torch's types, so that one build
 * serves every version of it. */
#ifndef NERSTREAM_KERNELS_H
#define NERSTREAM_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define EXPORTED __attribute__((visibility("default")))

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_KERNELS 1

#include <immintrin.h>
#include <string.h>

/* The files are compiled for any x86-64; only these functions use what not every one has. */
#define TARGET __attribute__((target("avx2,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 8")

/* Sums of 6 rows of 2 vectors are kept at a time: 12 of the 16 registers. */
enum { ROWS = 6, LANES = 8, COLUMNS = 2 * LANES };

/* Whether this processor has what the kernels are made of. */
static inline int32_t has_instructions(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* Exponentials of two, of exponents up to 0: the polynomial of the part behind the point (Taylor's,
 * wrong by 2e-7 at most), its exponent raised by the part before it. An exponent below -126 counts
 * as -126, and NaN stays NaN. */
INLINE __m256 exponentials(__m256 exponents) {
    /* The order matters: where one of the two is NaN, the second is taken. */
    exponents = _mm256_max_ps(_mm256_set1_ps(-126.0f), exponents);
    __m256 whole = _mm256_round_ps(exponents, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 rest = _mm256_sub_ps(exponents, whole);
    __m256 sum = _mm256_set1_ps(1.5403530e-4f);
    sum = _mm256_fmadd_ps(sum, rest, _mm256_set1_ps(1.3333558e-3f));
    sum = _mm256_fmadd_ps(sum, rest, _mm256_set1_ps(9.6181291e-3f));
    sum = _mm256_fmadd_ps(sum, rest, _mm256_set1_ps(5.5504109e-2f));
    sum = _mm256_fmadd_ps(sum, rest, _mm256_set1_ps(2.4022651e-1f));
    sum = _mm256_fmadd_ps(sum, rest, _mm256_set1_ps(6.9314718e-1f));
    sum = _mm256_fmadd_ps(sum, rest, _mm256_set1_ps(1.0f));
    __m256i raised = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sum), raised));
}

INLINE float largest(__m256 lanes) {
    float each[LANES];
    _mm256_storeu_ps(each, lanes);
    float found = each[0];
    for (int lane = 1; lane < LANES; lane++)
        if (each[lane] > found)
            found = each[lane];
    return found;
}

INLINE float total(__m256 lanes) {
    float each[LANES];
    _mm256_storeu_ps(each, lanes);
    return ((each[0] + each[1]) + (each[2] + each[3])) + ((each[4] + each[5]) + (each[6] + each[7]));
}

#endif
#endif
