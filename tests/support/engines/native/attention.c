/* Calls of consumer/tagging/engine/cpu/native/attention.c with memory that is as large as it must be
 * and not a byte more. The source is included on the compiler's command line. */
#include <stdlib.h>
#include <stdio.h>
#include <math.h>
int main(void) {
    if (!nerstream_can_attend()) return 0;
    long long calls = 0;
    for (int32_t length = 1; length <= 70; length++)
        for (int32_t head_size = 16; head_size <= 64; head_size += 16)
            for (int32_t step = 1; step <= 3; step++) {
                int32_t heads = 2, tokens = 2 * length, width = heads * head_size, queries = 0;
                int32_t ends[2] = {length, tokens}, query_ends[2];
                float *inputs = malloc(sizeof(float) * 3 * width * tokens);
                for (int32_t i = 0; i < 3 * width * tokens; i++) inputs[i] = (float)(i % 13) / 7;
                int32_t *rows = malloc(sizeof(int32_t) * tokens);
                for (int32_t token = 0; token < tokens; token++) {
                    if (token % step == 0) rows[queries++] = token;
                    if (token == length - 1) query_ends[0] = queries;
                }
                query_ends[1] = queries;
                rows = realloc(rows, sizeof(int32_t) * queries);
                float *attended = malloc(sizeof(float) * width * queries);
                float *work = malloc(sizeof(float) * nerstream_work_size(length, head_size));
                nerstream_attend(inputs, attended, ends, rows, query_ends, 2, heads, head_size,
                                 work);
                for (int32_t i = 0; i < width * queries; i++)
                    if (!isfinite(attended[i])) return 2;
                free(inputs), free(rows), free(attended), free(work);
                calls++;
            }
    printf("%lld calls\n", calls);
    return 0;
}
