#ifndef TERN_WORKER_BACKEND_CPU_ATTENTION_H_
#define TERN_WORKER_BACKEND_CPU_ATTENTION_H_

#include <cstdint>

#include "worker/backend/transformer_ops.h"

namespace tern {

// Causal attention of one window for all query heads that read `kv_head`, on the calling thread.
// q and out point at the window's first row of shape.heads · head_dim, k and v at that of
// shape.kv_heads · head_dim. Scratch: the head's keys and values, and the scores of 32 queries.
void AttendWindow(const float* q, const float* k, const float* v, const AttentionShape& shape,
                  int64_t kv_head, float* out);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_ATTENTION_H_
