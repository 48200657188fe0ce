#ifndef TERN_PROTO_SERVICE_BLOCK_STAGES_H_
#define TERN_PROTO_SERVICE_BLOCK_STAGES_H_

namespace tern {

// The stages of quantizing a block, in order: the keys of tern.v1.BlockMetrics.seconds, and the
// values of the label "stage" of tern_block_seconds.
inline constexpr const char* kBlockStages[] = {
    "load", "rebuild", "forward", "moments", "factorize", "fit", "compensate", "measure", "upload"};

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_BLOCK_STAGES_H_
