#include "client/progress_line.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/format_values.h"
#include "client/method_text.h"

namespace tern {
namespace {

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

double Percent(const v1::Progress& progress) {
  return std::clamp(progress.fraction(), 0.0, 1.0) * 100;
}

std::string Bar(double percent, int cells) {
  const int filled = static_cast<int>(std::floor(percent / 100 * cells));
  return absl::StrCat("[", std::string(filled, '#'), std::string(cells - filled, '-'), "]");
}

// ", 33%, about 1m20s left" of an event's progress.
std::string Pace(const v1::Progress& progress) {
  std::string pace = absl::StrFormat("%.0f%%", Percent(progress));
  if (progress.has_eta() && progress.fraction() < 1) {
    absl::StrAppend(&pace, ", about ", DurationText(ToDuration(progress.eta())), " left");
  }
  return pace;
}

double TotalSeconds(const google::protobuf::Map<std::string, double>& seconds) {
  double total = 0;
  for (const auto& [stage, value] : seconds) total += value;
  return total;
}

std::string BlockLine(const v1::BlockMetrics& metrics, const v1::Progress& progress) {
  std::string line = absl::StrFormat(
      "block %d (%d/%d): layer error %s, %.3f bits per weight, %s on %s", metrics.block(),
      progress.blocks_done(), progress.blocks_total(),
      SignificantText(metrics.reconstruction_error()), metrics.bits_per_weight(),
      DurationText(absl::Seconds(TotalSeconds(metrics.seconds()))), metrics.worker());
  RotationSummary rotation;
  rotation.Add(metrics);
  if (rotation.layers() > 0) absl::StrAppend(&line, "; rotation: ", rotation.Text());
  std::vector<std::string> without_compensation;
  for (const v1::LayerMetrics& layer : metrics.layers()) {
    if (layer.compensation_fallback()) without_compensation.push_back(layer.layer());
  }
  if (!without_compensation.empty()) {
    absl::StrAppend(&line, "; without compensation: ", absl::StrJoin(without_compensation, ", "));
  }
  return absl::StrCat(line, "; ", Pace(progress));
}

}  // namespace

void JobView::Apply(const v1::WatchQuantizationJobResponse& message, absl::Time now) {
  const auto take_progress = [&](const v1::Progress& next) {
    progress = next;
    progress_time = now;
  };
  if (message.has_snapshot()) {
    state = message.snapshot().state();
    if (message.snapshot().has_activation_bits()) {
      activation_bits = message.snapshot().activation_bits().average_bits();
    }
    take_progress(message.snapshot().progress());
  } else if (message.has_progress()) {
    take_progress(message.progress());
  } else if (message.event().has_state_changed()) {
    state = message.event().state_changed().state();
  } else if (message.event().has_block_finished()) {
    const v1::BlockMetrics& metrics = message.event().block_finished().metrics();
    layer_error = metrics.reconstruction_error();
    for (const v1::LayerMetrics& layer : metrics.layers()) {
      const double weights = static_cast<double>(layer.rows()) * static_cast<double>(layer.cols());
      quantized_bits += layer.bits_per_weight() * weights;
      quantized_weights += weights;
    }
    take_progress(message.event().block_finished().progress());
  } else if (message.event().has_task_finished()) {
    take_progress(message.event().task_finished().progress());
  } else if (message.event().has_activation_bits_chosen()) {
    activation_bits = message.event().activation_bits_chosen().activation_bits().average_bits();
  }
}

std::string ProgressLine(const JobView& view, int width, absl::Time now) {
  const double percent =
      view.state == v1::QuantizationJob::SUCCEEDED ? 100 : Percent(view.progress);
  std::vector<std::string> parts;
  parts.push_back(
      absl::StrFormat("%s %3.0f%%", Bar(percent, width >= 100 ? 24 : 12), std::floor(percent)));
  if (view.progress.blocks_total() > 0) {
    parts.push_back(
        absl::StrFormat("block %d/%d", view.progress.blocks_done(), view.progress.blocks_total()));
  }
  if (view.layer_error) parts.push_back("error " + SignificantText(*view.layer_error));
  if (view.quantized_weights > 0) {
    parts.push_back(absl::StrFormat("%.3f bits", view.quantized_bits / view.quantized_weights));
  }
  if (view.activation_bits) {
    parts.push_back(absl::StrFormat("activations %.2f bits", *view.activation_bits));
  }
  if (view.progress.has_shortage()) {
    parts.emplace_back(view.progress.shortage().workers() == 0 ? "no worker is connected"
                                                               : "no worker has the memory");
  } else if (view.state == v1::QuantizationJob::PENDING) {
    parts.emplace_back("waiting for a worker");
  } else if (view.state == v1::QuantizationJob::RUNNING && view.progress.has_eta()) {
    const absl::Duration left = ToDuration(view.progress.eta()) - (now - view.progress_time);
    parts.push_back("ETA " + DurationText(std::max(left, absl::ZeroDuration())));
  }
  if (view.progress.active_size() > 0) {
    const v1::ActiveTask& task = view.progress.active(0);
    std::string activity =
        task.stage().empty() ? task.task() : absl::StrCat(task.task(), " ", task.stage());
    if (view.progress.active_size() > 1) {
      absl::StrAppend(&activity, " +", view.progress.active_size() - 1);
    }
    parts.push_back(activity);
  }
  if (view.downloaded_bytes > 0) parts.push_back("got " + BytesText(view.downloaded_bytes));

  std::string line;
  for (const std::string& part : parts) {
    const size_t separator = line.empty() ? 0 : 2;
    if (line.size() + separator + part.size() > static_cast<size_t>(std::max(width, 0))) break;
    absl::StrAppend(&line, std::string(separator, ' '), part);
  }
  return line;
}

std::string EventLine(const v1::JobEvent& event) {
  switch (event.kind_case()) {
    case v1::JobEvent::kStateChanged:
      return v1::QuantizationJob::State_Name(event.state_changed().state());
    case v1::JobEvent::kBlockFinished:
      return BlockLine(event.block_finished().metrics(), event.block_finished().progress());
    case v1::JobEvent::kTaskFinished: {
      const auto& finished = event.task_finished();
      return absl::StrCat(finished.task(), " finished in ",
                          DurationText(absl::Seconds(TotalSeconds(finished.seconds()))), "; ",
                          Pace(finished.progress()));
    }
    case v1::JobEvent::kTaskRetried: {
      const auto& retried = event.task_retried();
      return absl::StrFormat("%s is done again (failed attempts: %d, workers lost: %d): %s: %s",
                             retried.task(), retried.attempts(), retried.worker_deaths(),
                             retried.worker(), Printable(retried.reason()));
    }
    case v1::JobEvent::kActivationBitsChosen:
      return absl::StrCat("activation bits: ",
                          ActivationBitsText(event.activation_bits_chosen().activation_bits()));
    case v1::JobEvent::kFileCommitted:
    case v1::JobEvent::KIND_NOT_SET:
      return "";
  }
  return "";
}

std::string ShortageText(const v1::Progress& progress) {
  if (!progress.has_shortage()) return "";
  const v1::WorkerShortage& shortage = progress.shortage();
  if (shortage.workers() == 0) {
    return "no worker is connected; start one with tern-worker --server HOST:PORT, or the server "
           "with --local-workers N";
  }
  std::vector<std::string> largest;
  if (shortage.largest_memory_bytes() > 0) {
    largest.push_back(BytesText(shortage.largest_memory_bytes()));
  }
  if (shortage.largest_gpu_memory_bytes() > 0) {
    largest.push_back(BytesText(shortage.largest_gpu_memory_bytes()) + " on a GPU");
  }
  return absl::StrFormat(
      "of the workers connected (%d) none has the memory that %s needs: %s (%s on a GPU), "
      "and the largest has %s; start a larger one with tern-worker --server HOST:PORT",
      shortage.workers(), Printable(shortage.task()), BytesText(shortage.memory_bytes()),
      BytesText(shortage.gpu_memory_bytes()), absl::StrJoin(largest, ", "));
}

std::string ProgressSummary(const v1::QuantizationJob& job) {
  std::string summary = v1::QuantizationJob::State_Name(job.state());
  if (job.progress().blocks_total() > 0) {
    absl::StrAppendFormat(&summary, ", %d/%d blocks", job.progress().blocks_done(),
                          job.progress().blocks_total());
  }
  if (job.state() == v1::QuantizationJob::RUNNING) {
    absl::StrAppend(&summary, ", ", Pace(job.progress()));
  }
  return summary;
}

}  // namespace tern
