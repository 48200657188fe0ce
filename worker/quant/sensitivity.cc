#include "worker/quant/sensitivity.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "worker/model/block_weights.h"
#include "worker/model/transformer_block.h"

namespace tern {
namespace {

int64_t StateBytes(const ModelConfig& config, int64_t tokens) {
  return tokens * config.hidden_size * SizeOf(ElementType::kF32);
}

// One forward pass: what block i - 1 and block i depart from the baseline by, if at all.
struct Stream {
  const BlockActivations* previous;  // null: nothing
  const BlockActivations* own;
  int64_t leader;   // the first stream of the same `previous`: they are one up to block i
  Tensor h;         // of the pass
  double loss = 0;  // of all passes so far
};

class Measurement {
 public:
  Measurement(Backend& backend, const WeightSource& source, const EvaluatedWindows& windows,
              const SensitivityProbes& probes, const SensitivityOptions& options,
              SensitivityState& state)
      : backend_(backend),
        source_(source),
        windows_(windows),
        probes_(probes),
        options_(options),
        state_(state) {}

  absl::StatusOr<Sensitivity> Run() {
    TERN_RETURN_IF_ERROR(CheckWindows(windows_));
    MakeStreams();
    if (FirstBlock() < 0 || probes_.block >= config().num_blocks) {
      return absl::InvalidArgumentError(absl::StrCat("sensitivity of block ", probes_.block, " of ",
                                                     config().num_blocks,
                                                     ", or of one before it: there is none"));
    }
    if (streams_.empty()) return Result();
    if (!HasStatesOfTheWindows()) state_ = SensitivityState();
    TERN_RETURN_IF_ERROR(RewindPrefix());
    CountSteps();
    TERN_RETURN_IF_ERROR(AdvancePrefix());
    const int64_t pass = PassWindows();
    TERN_ASSIGN_OR_RETURN(
        hidden_, backend_.Allocate(ElementType::kF32, StreamCount() * pass * windows_.length,
                                   config().hidden_size));
    for (int64_t first = 0; first < windows_.count(); first += pass) {
      const int64_t count = std::min(pass, windows_.count() - first);
      TERN_RETURN_IF_ERROR(RunPass(first, count));
    }
    return Result();
  }

 private:
  const ModelConfig& config() const { return source_.config(); }
  int64_t StreamCount() const { return static_cast<int64_t>(streams_.size()); }
  // Windows of a pass. Where a row's bits depend on the rows beside it a pass is whole batches,
  // each stream's by itself, so that no bit depends on how much memory there is.
  int64_t PassWindows() const {
    const int64_t fit =
        WindowsPerPass(windows_, config().hidden_size, StreamCount(), options_.memory.probe_bytes);
    if (!backend_.memory().has_value()) return std::min(windows_.count(), fit);
    const int64_t batch = std::max<int64_t>(1, backend_.batch_tokens() / windows_.length);
    return std::min(windows_.count(), std::max(batch, fit / batch * batch));
  }

  // The first block that is not at the baseline in every stream.
  int64_t FirstBlock() const {
    const bool pairs = std::any_of(streams_.begin(), streams_.end(),
                                   [](const Stream& stream) { return stream.previous != nullptr; });
    return pairs ? probes_.block - 1 : probes_.block;
  }

  void MakeStreams() {
    if (probes_.baseline) AddStream(nullptr, nullptr);
    for (const SensitivityProbes::Probe& probe : probes_.probes) {
      AddStream(probe.previous.has_value() ? &*probe.previous : nullptr, &probe.own);
    }
  }

  void AddStream(const BlockActivations* previous, const BlockActivations* own) {
    const auto same = [&](const Stream& stream) {
      if (previous == nullptr || stream.previous == nullptr) return previous == stream.previous;
      return *previous == *stream.previous;
    };
    const auto leader = std::find_if(streams_.begin(), streams_.end(), same) - streams_.begin();
    streams_.push_back({.previous = previous, .own = own, .leader = leader, .h = {}});
  }

  bool IsLeader(int64_t stream) const { return streams_[stream].leader == stream; }

  // Of windows of this shape, that is.
  bool HasStatesOfTheWindows() const {
    const CalibrationState& prefix = state_.prefix;
    return !prefix.quantized.empty() && prefix.window_length == windows_.length &&
           prefix.tokens() == static_cast<int64_t>(windows_.ids.size());
  }

  // In windows that pass a block, or the head.
  void CountSteps() {
    int64_t leaders = 0;
    for (int64_t i = 0; i < StreamCount(); ++i) leaders += IsLeader(i) ? 1 : 0;
    const int64_t blocks = config().num_blocks - probes_.block;
    total_ = windows_.count() *
             (FirstBlock() - state_.prefix.next_block + leaders * (probes_.block - FirstBlock()) +
              StreamCount() * (blocks + 1));
  }

  // To the last states that are kept and not too far, unless it is between them and the first
  // block.
  absl::Status RewindPrefix() {
    CalibrationState& prefix = state_.prefix;
    const bool too_far = prefix.next_block > FirstBlock();
    const auto after = state_.kept_prefixes.upper_bound(FirstBlock());
    if (after == state_.kept_prefixes.begin()) {
      if (too_far) prefix = CalibrationState();
      return absl::OkStatus();
    }
    const auto& [block, states] = *std::prev(after);
    if (!too_far && block <= prefix.next_block) return absl::OkStatus();
    prefix.next_block = block;
    return backend_.Copy(states, prefix.quantized);
  }

  absl::Status KeepPrefix() {
    const CalibrationState& prefix = state_.prefix;
    const int64_t count = options_.memory.kept_prefix_bytes / prefix.quantized.bytes();
    const int64_t apart = config().num_blocks / (count + 1) + 1;
    if (prefix.next_block % apart != 0 || state_.kept_prefixes.contains(prefix.next_block)) {
      return absl::OkStatus();
    }
    auto kept =
        backend_.Allocate(ElementType::kF32, prefix.quantized.rows(), prefix.quantized.cols());
    // It only saves time.
    if (absl::IsResourceExhausted(kept.status())) return absl::OkStatus();
    if (!kept.ok()) return kept.status();
    TERN_RETURN_IF_ERROR(backend_.Copy(prefix.quantized, *kept));
    state_.kept_prefixes[prefix.next_block] = *std::move(kept);
    return absl::OkStatus();
  }

  absl::Status AdvancePrefix() {
    CalibrationState& prefix = state_.prefix;
    if (prefix.quantized.empty()) {
      const CalibrationStreams one = {.full_precision = false,
                                      .on_host = options_.memory.prefix_on_host};
      TERN_ASSIGN_OR_RETURN(prefix,
                            StartCalibration(backend_, source_, windows_.ids, windows_.length,
                                             /*first_block=*/0, one, options_.cancelled));
    }
    while (prefix.next_block < FirstBlock()) {
      TERN_ASSIGN_OR_RETURN(const BlockWeights weights,
                            Load(prefix.next_block, prefix.next_block + 1));
      TERN_RETURN_IF_ERROR(
          AdvanceCalibration(backend_, config(), /*full=*/{}, weights, options_.cancelled, prefix));
      TERN_RETURN_IF_ERROR(KeepPrefix());
      Advance(windows_.count());
    }
    return absl::OkStatus();
  }

  absl::Status RunPass(int64_t first_window, int64_t windows) {
    const int64_t rows = windows * windows_.length;
    const Tensor before = state_.prefix.quantized.Rows(first_window * windows_.length, rows);
    for (int64_t i = 0; i < StreamCount(); ++i) {
      streams_[i].h = hidden_.Rows(i * rows, rows);
      if (IsLeader(i)) TERN_RETURN_IF_ERROR(backend_.Copy(before, streams_[i].h));
    }
    if (FirstBlock() < probes_.block) TERN_RETURN_IF_ERROR(RunPreviousBlock());
    const bool last_pass = first_window + windows == windows_.count();
    const auto after = [&](int64_t block) -> std::optional<int64_t> {
      if (block + 1 < config().num_blocks) return block + 1;
      return last_pass ? std::nullopt : std::optional(FirstBlock());
    };
    TERN_RETURN_IF_ERROR(RunOwnBlock(after(probes_.block)));
    for (int64_t block = probes_.block + 1; block < config().num_blocks; ++block) {
      TERN_ASSIGN_OR_RETURN(const BlockWeights weights, Load(block, after(block)));
      TERN_ASSIGN_OR_RETURN(TransformerBlock transformer, Transformer(block));
      for (const Stream& stream : streams_) {
        TERN_RETURN_IF_ERROR(Forward(transformer, weights, stream.h));
      }
    }
    return AddLosses(windows_.Ids(first_window, windows));
  }

  // Once for each of its widths.
  absl::Status RunPreviousBlock() {
    const int64_t block = probes_.block - 1;
    TERN_ASSIGN_OR_RETURN(const BlockWeights weights, Load(block, probes_.block));
    TERN_ASSIGN_OR_RETURN(TransformerBlock transformer, Transformer(block));
    for (int64_t i = 0; i < StreamCount(); ++i) {
      if (!IsLeader(i)) continue;
      TERN_RETURN_IF_ERROR(
          Forward(transformer, With(streams_[i].previous, weights), streams_[i].h));
    }
    return absl::OkStatus();
  }

  absl::Status RunOwnBlock(std::optional<int64_t> next) {
    for (int64_t i = 0; i < StreamCount(); ++i) {
      if (IsLeader(i)) continue;
      TERN_RETURN_IF_ERROR(backend_.Copy(streams_[streams_[i].leader].h, streams_[i].h));
    }
    TERN_ASSIGN_OR_RETURN(const BlockWeights weights, Load(probes_.block, next));
    TERN_ASSIGN_OR_RETURN(TransformerBlock transformer, Transformer(probes_.block));
    for (const Stream& stream : streams_) {
      TERN_RETURN_IF_ERROR(Forward(transformer, With(stream.own, weights), stream.h));
    }
    return absl::OkStatus();
  }

  absl::Status AddLosses(std::span<const int32_t> ids) {
    if (!state_.losses.has_value()) {
      TERN_ASSIGN_OR_RETURN(state_.losses, WindowLosses::Load(backend_, source_, windows_.length));
    }
    for (Stream& stream : streams_) {
      for (int64_t row = 0; row < stream.h.rows(); row += windows_.length) {
        TERN_RETURN_IF_ERROR(CheckCancelled());
        const Tensor h = stream.h.Rows(row, windows_.length);
        double loss = 0, kl = 0;
        TERN_RETURN_IF_ERROR(
            state_.losses->Sum({&h, 1}, ids.subspan(row, windows_.length), {&loss, 1}, kl));
        stream.loss += loss;
        Advance(1);
      }
    }
    return absl::OkStatus();
  }

  Sensitivity Result() const {
    Sensitivity result;
    result.tokens = windows_.count() * (windows_.length - 1);
    for (const Stream& stream : streams_) {
      if (stream.own == nullptr) {
        result.baseline_loss = stream.loss;
      } else {
        result.probes.push_back(
            {.previous_bits = stream.previous == nullptr ? 0 : stream.previous->bits,
             .bits = stream.own->bits,
             .loss = stream.loss});
      }
    }
    return result;
  }

  absl::StatusOr<BlockWeights> Load(int64_t block, std::optional<int64_t> next) {
    TERN_RETURN_IF_ERROR(CheckCancelled());
    if (const auto kept = state_.blocks.find(block); kept != state_.blocks.end()) {
      return kept->second;
    }
    TERN_ASSIGN_OR_RETURN(BlockWeights weights, source_.Block(backend_, block));
    if (block >= FirstKept()) state_.blocks[block] = weights;
    if (options_.upcoming && next.has_value() && !state_.blocks.contains(*next)) {
      options_.upcoming(*next);
    }
    return weights;
  }

  int64_t FirstKept() const {
    int64_t bytes = 0;
    for (const LinearKind kind : LinearKinds()) {
      const LinearShape shape = ShapeOf(config(), kind);
      bytes += shape.rows * shape.cols * SizeOf(backend_.activation_type());
    }
    return config().num_blocks - options_.memory.kept_weight_bytes / bytes;
  }

  static BlockWeights With(const BlockActivations* activations, const BlockWeights& weights) {
    BlockWeights with = weights;
    if (activations != nullptr) SetActivations(*activations, with);
    return with;
  }

  absl::StatusOr<TransformerBlock> Transformer(int64_t block) {
    return TransformerBlock::Create(backend_, config(), block, windows_.length);
  }

  absl::Status Forward(TransformerBlock& transformer, const BlockWeights& weights,
                       const Tensor& h) {
    const int64_t batch = transformer.BatchWindows() * windows_.length;
    for (int64_t row = 0; row < h.rows(); row += batch) {
      const int64_t rows = std::min(batch, h.rows() - row);
      TERN_RETURN_IF_ERROR(CheckCancelled());
      TERN_RETURN_IF_ERROR(transformer.Forward(weights, h.Rows(row, rows)));
      Advance(rows / windows_.length);
    }
    return absl::OkStatus();
  }

  absl::Status CheckCancelled() const {
    return options_.cancelled && options_.cancelled()
               ? absl::CancelledError("measuring sensitivity was cancelled")
               : absl::OkStatus();
  }

  void Advance(int64_t steps) {
    done_ += steps;
    if (options_.progress) options_.progress(done_, total_);
  }

  Backend& backend_;
  const WeightSource& source_;
  const EvaluatedWindows& windows_;
  const SensitivityProbes& probes_;
  const SensitivityOptions& options_;
  SensitivityState& state_;
  std::vector<Stream> streams_;
  Tensor hidden_;  // of all streams, one after the other
  int64_t done_ = 0, total_ = 0;
};

}  // namespace

SensitivityMemory ChooseSensitivityMemory(const Backend& backend, const ModelConfig& config,
                                          int64_t tokens) {
  SensitivityMemory memory;
  const int64_t prefix = StateBytes(config, tokens);
  const std::optional<DeviceMemory> device = backend.memory();
  if (!device.has_value()) {
    memory.probe_bytes = std::max(memory.probe_bytes, prefix);
    return memory;
  }
  memory.prefix_on_host = prefix > device->total / 4;
  const int64_t eighth = (device->total - (memory.prefix_on_host ? 0 : prefix)) / 8;
  memory.probe_bytes = 3 * eighth;
  memory.kept_weight_bytes = 2 * eighth;
  memory.kept_prefix_bytes = eighth;
  return memory;
}

absl::StatusOr<Sensitivity> MeasureSensitivity(Backend& backend, const WeightSource& baseline,
                                               const EvaluatedWindows& windows,
                                               const SensitivityProbes& probes,
                                               const SensitivityOptions& options,
                                               SensitivityState& state) {
  return Measurement(backend, baseline, windows, probes, options, state).Run();
}

}  // namespace tern
