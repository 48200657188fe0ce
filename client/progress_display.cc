#include "client/progress_display.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/format_values.h"

namespace tern {
namespace {

// Worth a line of its own above a progress bar, which shows the rest.
bool IsNotable(const v1::JobEvent& event) {
  if (event.has_block_finished()) {
    for (const v1::LayerMetrics& layer : event.block_finished().metrics().layers()) {
      if (layer.compensation_fallback()) return true;
    }
  }
  return event.has_task_retried();
}

}  // namespace

ProgressDisplay::ProgressDisplay(Console* console) : console_(console) {}

void ProgressDisplay::OnWatchMessage(const v1::WatchQuantizationJobResponse& message) {
  const absl::MutexLock lock(&mutex_);
  view_.Apply(message, absl::Now());
  if (message.has_snapshot() && !shown_from_) {
    shown_from_ = message.sequence();
    if (!console_->interactive) Say(ProgressSummary(message.snapshot()));
  } else if (message.has_snapshot() && away_) {
    Say("connected again");
  }
  away_ = false;
  // The progress of an event may be long past.
  if (message.has_snapshot() || message.has_progress()) SayShortage();
  if (!message.has_event() || message.sequence() <= shown_from_.value_or(0)) return;
  if (console_->interactive && !IsNotable(message.event())) return;
  if (const std::string line = EventLine(message.event()); !line.empty()) Say(line);
}

void ProgressDisplay::OnWatchInterrupted(const absl::Status& why, absl::Duration /*retry_in*/) {
  const absl::MutexLock lock(&mutex_);
  SayInterrupted(why);
}

void ProgressDisplay::OnFileReceived(const v1::CheckpointFile& file) {
  const absl::MutexLock lock(&mutex_);
  if (console_->interactive) return;
  Say(absl::StrCat("received ", file.path(), ", ", BytesText(file.size_bytes())));
}

void ProgressDisplay::OnBytesReceived(int64_t bytes) {
  const absl::MutexLock lock(&mutex_);
  view_.downloaded_bytes += bytes;
}

void ProgressDisplay::OnDownloadInterrupted(const absl::Status& why, absl::Duration /*retry_in*/) {
  const absl::MutexLock lock(&mutex_);
  // The watch says so when the server is away.
  if (absl::IsDataLoss(why)) {
    Say(absl::StrCat(Printable(why.message()), "; fetching it again"));
  }
}

void ProgressDisplay::Tick() {
  if (!console_->interactive) return;
  const absl::MutexLock lock(&mutex_);
  if (!shown_from_) return;
  const std::string line =
      away_ ? "waiting for the server" : ProgressLine(view_, console_->width() - 1, absl::Now());
  console_->err << "\r" << line << "\x1b[K" << std::flush;
  drawn_ = true;
}

void ProgressDisplay::Finish() {
  const absl::MutexLock lock(&mutex_);
  Clear();
}

v1::QuantizationJob::State ProgressDisplay::state() const {
  const absl::MutexLock lock(&mutex_);
  return view_.state;
}

void ProgressDisplay::Say(const std::string& line) {
  Clear();
  console_->err << line << "\n" << std::flush;
}

void ProgressDisplay::SayShortage() {
  std::string shortage = ShortageText(view_.progress);
  if (!shortage.empty() && shortage != shortage_) Say(shortage);
  shortage_ = std::move(shortage);
}

void ProgressDisplay::SayInterrupted(const absl::Status& why) {
  if (away_) return;
  away_ = true;
  Say(absl::StrCat("connection lost, trying again: ", Printable(why.message())));
}

void ProgressDisplay::Clear() {
  if (drawn_) console_->err << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

}  // namespace tern
