#include "client/progress_line.h"

#include <gtest/gtest.h>

#include <string>

namespace tern {
namespace {

using v1::QuantizationJob;

const absl::Time kNow = absl::FromUnixSeconds(1000);

v1::Progress ProgressAt(int done, int total, double fraction, int eta_seconds) {
  v1::Progress progress;
  progress.set_blocks_done(done);
  progress.set_blocks_total(total);
  progress.set_fraction(fraction);
  if (eta_seconds > 0) progress.mutable_eta()->set_seconds(eta_seconds);
  return progress;
}

v1::JobEvent BlockFinished() {
  v1::JobEvent event;
  v1::BlockMetrics& metrics = *event.mutable_block_finished()->mutable_metrics();
  metrics.set_block(2);
  metrics.set_reconstruction_error(0.0123456);
  metrics.set_bits_per_weight(1.85);
  metrics.set_worker("worker-a");
  (*metrics.mutable_seconds())["fit"] = 10;
  (*metrics.mutable_seconds())["forward"] = 2.4;
  v1::LayerMetrics& layer = *metrics.add_layers();
  layer.set_layer("model.layers.2.self_attn.q_proj");
  layer.set_rows(10);
  layer.set_cols(20);
  layer.set_bits_per_weight(1.85);
  *event.mutable_block_finished()->mutable_progress() = ProgressAt(3, 6, 0.484, 80);
  return event;
}

// A job in the middle, as a watch makes it known.
JobView ViewInTheMiddle() {
  JobView view;
  v1::WatchQuantizationJobResponse message;
  message.mutable_snapshot()->set_state(QuantizationJob::RUNNING);
  view.Apply(message, kNow);
  *message.mutable_event() = BlockFinished();
  view.Apply(message, kNow);
  v1::Progress progress = ProgressAt(3, 6, 0.484, 80);
  v1::ActiveTask& task = *progress.add_active();
  task.set_task("quantize/3");
  task.set_stage("fit");
  progress.add_active();
  *message.mutable_progress() = progress;
  view.Apply(message, kNow);
  view.downloaded_bytes = 1'200'000;
  return view;
}

TEST(ProgressLineTest, WideTerminalShowsEverything) {
  EXPECT_EQ(ProgressLine(ViewInTheMiddle(), 120, kNow),
            "[###########-------------]  48%  block 3/6  error 0.01235  1.850 bits  ETA 1m20s  "
            "quantize/3 fit +1  got 1.2 MB");
}

TEST(ProgressLineTest, NarrowTerminalKeepsWhatMattersMost) {
  EXPECT_EQ(ProgressLine(ViewInTheMiddle(), 79, kNow),
            "[#####-------]  48%  block 3/6  error 0.01235  1.850 bits  ETA 1m20s");
  EXPECT_EQ(ProgressLine(ViewInTheMiddle(), 40, kNow), "[#####-------]  48%  block 3/6");
}

v1::Progress WithoutWorkers() {
  v1::Progress progress = ProgressAt(0, 6, 0, 0);
  progress.mutable_shortage();
  return progress;
}

v1::Progress WithSmallWorkers() {
  v1::Progress progress = ProgressAt(0, 6, 0, 0);
  v1::WorkerShortage& shortage = *progress.mutable_shortage();
  shortage.set_workers(2);
  shortage.set_task("quantize/0");
  shortage.set_memory_bytes(271'700'000);
  shortage.set_gpu_memory_bytes(225'000'000);
  shortage.set_largest_memory_bytes(100'000'000);
  return progress;
}

TEST(ProgressLineTest, AJobThatNoWorkerTakesSaysSo) {
  JobView view;
  v1::WatchQuantizationJobResponse message;
  *message.mutable_progress() = WithoutWorkers();
  view.Apply(message, kNow);
  EXPECT_EQ(ProgressLine(view, 79, kNow), "[------------]   0%  block 0/6  no worker is connected");
  *message.mutable_progress() = WithSmallWorkers();
  view.Apply(message, kNow);
  EXPECT_EQ(ProgressLine(view, 79, kNow),
            "[------------]   0%  block 0/6  no worker has the memory");
}

TEST(ShortageTextTest, SaysWhatToStart) {
  EXPECT_EQ(ShortageText(v1::Progress()), "");
  EXPECT_EQ(ShortageText(WithoutWorkers()),
            "no worker is connected; start one with tern-worker --server HOST:PORT, or the server "
            "with --local-workers N");
  v1::Progress progress = WithSmallWorkers();
  EXPECT_EQ(ShortageText(progress),
            "of the workers connected (2) none has the memory that quantize/0 needs: 271.7 MB "
            "(225.0 MB on a GPU), and the largest has 100.0 MB; start a larger one with "
            "tern-worker --server HOST:PORT");
  progress.mutable_shortage()->set_largest_gpu_memory_bytes(200'000'000);
  EXPECT_NE(ShortageText(progress).find("has 100.0 MB, 200.0 MB on a GPU;"), std::string::npos);
}

TEST(ProgressLineTest, NeverExceedsTheWidth) {
  for (int width = 0; width < 150; ++width) {
    EXPECT_LE(ProgressLine(ViewInTheMiddle(), width, kNow).size(), static_cast<size_t>(width));
  }
}

TEST(ProgressLineTest, EtaCountsDownBetweenMessagesAndStopsAtZero) {
  const JobView view = ViewInTheMiddle();
  EXPECT_NE(ProgressLine(view, 120, kNow + absl::Seconds(20)).find("ETA 1m00s"), std::string::npos);
  EXPECT_NE(ProgressLine(view, 120, kNow + absl::Hours(1)).find("ETA 0.0s"), std::string::npos);
}

TEST(ProgressLineTest, PendingJobWaitsForAWorker) {
  EXPECT_EQ(ProgressLine(JobView(), 80, kNow), "[------------]   0%  waiting for a worker");
}

TEST(ProgressLineTest, SucceededJobIsFull) {
  JobView view = ViewInTheMiddle();
  view.state = QuantizationJob::SUCCEEDED;
  EXPECT_EQ(ProgressLine(view, 20, kNow), "[############] 100%");
}

TEST(JobViewTest, BitsAreWeightedByWeights) {
  JobView view;
  v1::WatchQuantizationJobResponse message;
  v1::BlockMetrics& metrics = *message.mutable_event()->mutable_block_finished()->mutable_metrics();
  v1::LayerMetrics& small = *metrics.add_layers();
  small.set_rows(1);
  small.set_cols(1);
  small.set_bits_per_weight(5);
  v1::LayerMetrics& large = *metrics.add_layers();
  large.set_rows(3);
  large.set_cols(1);
  large.set_bits_per_weight(1);
  view.Apply(message, kNow);
  EXPECT_DOUBLE_EQ(view.quantized_bits / view.quantized_weights, 2);
}

TEST(EventLineTest, BlockSaysErrorBitsTimeAndPace) {
  EXPECT_EQ(EventLine(BlockFinished()),
            "block 2 (3/6): layer error 0.01235, 1.850 bits per weight, 12s on worker-a; 48%, "
            "about 1m20s left");
}

TEST(EventLineTest, LayerWithoutCompensationIsNamed) {
  v1::JobEvent event = BlockFinished();
  event.mutable_block_finished()->mutable_metrics()->mutable_layers(0)->set_compensation_fallback(
      true);
  EXPECT_NE(EventLine(event).find("; without compensation: model.layers.2.self_attn.q_proj; 48%"),
            std::string::npos);
}

TEST(EventLineTest, RetryNamesWorkerReasonAndCounts) {
  v1::JobEvent event;
  auto& retried = *event.mutable_task_retried();
  retried.set_task("quantize/3");
  retried.set_worker("worker-a");
  retried.set_reason("lease expired");
  retried.set_worker_deaths(1);
  EXPECT_EQ(
      EventLine(event),
      "quantize/3 is done again (failed attempts: 0, workers lost: 1): worker-a: lease expired");
}

TEST(EventLineTest, StateAndTask) {
  v1::JobEvent event;
  event.mutable_state_changed()->set_state(QuantizationJob::RUNNING);
  EXPECT_EQ(EventLine(event), "RUNNING");
  event.mutable_task_finished()->set_task("scan");
  (*event.mutable_task_finished()->mutable_seconds())["scan"] = 1.24;
  *event.mutable_task_finished()->mutable_progress() = ProgressAt(0, 6, 0.02, 0);
  EXPECT_EQ(EventLine(event), "scan finished in 1.2s; 2%");
}

TEST(EventLineTest, CommittedFileIsNotWorthALine) {
  v1::JobEvent event;
  event.mutable_file_committed();
  EXPECT_EQ(EventLine(event), "");
}

TEST(ProgressLineTest, ActivationBitsAreShownOnceTheyAreChosen) {
  v1::WatchQuantizationJobResponse message;
  v1::ActivationBits& chosen =
      *message.mutable_event()->mutable_activation_bits_chosen()->mutable_activation_bits();
  for (const int32_t bits : {4, 8}) chosen.add_blocks()->set_bits(bits);
  chosen.set_average_bits(6);
  EXPECT_EQ(EventLine(message.event()),
            "activation bits: 6.00 on average: 4 in 1 block, 8 in 1 block");
  JobView view = ViewInTheMiddle();
  EXPECT_EQ(ProgressLine(view, 200, kNow).find("activations"), std::string::npos);
  view.Apply(message, kNow);
  EXPECT_NE(ProgressLine(view, 200, kNow).find("activations 6.00 bits"), std::string::npos);
}

TEST(EventLineTest, ABlockTellsOfItsRotations) {
  v1::JobEvent event = BlockFinished();
  v1::LayerRotation& rotation =
      *event.mutable_block_finished()->mutable_metrics()->mutable_layers(0)->mutable_rotation();
  rotation.set_loss_before(2);
  rotation.set_loss_after(1.5);
  EXPECT_NE(EventLine(event).find("; rotation: loss 2 to 1.5 (mean of 1 layers)"),
            std::string::npos);
}

}  // namespace
}  // namespace tern
