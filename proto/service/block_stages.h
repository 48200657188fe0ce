#ifndef TERN_PROTO_SERVICE_BLOCK_STAGES_H_
#define TERN_PROTO_SERVICE_BLOCK_STAGES_H_

namespace tern {

// The stages of quantizing a block, in order: the keys of tern.v1.BlockMetrics.seconds, and the
// values of the label "stage" of tern_block_seconds.
inline constexpr char kLoadStage[] = "load";              // the block's weights, from the model
inline constexpr char kRebuildStage[] = "rebuild";        // the calibration state, where not held
inline constexpr char kForwardStage[] = "forward";        // hidden states through the block
inline constexpr char kMomentsStage[] = "moments";        // H and G
inline constexpr char kRotateStage[] = "rotate";          // weights and moments into rotated space
inline constexpr char kFactorizeStage[] = "factorize";    // inverse of H, its downdates
inline constexpr char kFitStage[] = "fit";                // column order, grids
inline constexpr char kCompensateStage[] = "compensate";  // error and asymmetry to later columns
inline constexpr char kMeasureStage[] = "measure";        // packing, reconstruction error
inline constexpr char kClipStage[] = "clip";              // clip ratios of low-bit activations
inline constexpr char kUploadStage[] = "upload";          // the block's file, to the server

inline constexpr const char* kBlockStages[] = {
    kLoadStage, kRebuildStage,    kForwardStage, kMomentsStage, kRotateStage, kFactorizeStage,
    kFitStage,  kCompensateStage, kMeasureStage, kClipStage,    kUploadStage};

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_BLOCK_STAGES_H_
