#include "server/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tern {
namespace {

// How long a process that was just killed may take to let go of the folder.
constexpr absl::Duration kLockTimeout = absl::Seconds(3);
constexpr absl::Duration kLockPoll = absl::Milliseconds(20);

// What a holder writes into its lock file.
std::string ThisProcess() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return absl::StrCat("process ", getpid(), " on ", host, " since ",
                      absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()));
}

std::string ReadHolder(int lock) {
  char text[512];
  const ssize_t size = pread(lock, text, sizeof text, 0);
  if (size <= 0) return "another process";
  return std::string(
      absl::StripAsciiWhitespace(absl::string_view(text, static_cast<size_t>(size))));
}

absl::Status NoteHolder(int lock, const std::string& path) {
  const std::string holder = absl::StrCat(ThisProcess(), "\n");
  if (ftruncate(lock, 0) == 0 &&
      pwrite(lock, holder.data(), holder.size(), 0) == static_cast<ssize_t>(holder.size())) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataFolder>> DataFolder::Open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot create the folder ", path));
  }
  const std::string lock_path = path + "/lock";
  const int lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", lock_path));
  auto folder = absl::WrapUnique(new DataFolder(path, lock));
  const absl::Time deadline = absl::Now() + kLockTimeout;
  while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot lock ", lock_path));
    }
    if (absl::Now() >= deadline) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is in use by ", ReadHolder(lock),
                       ": stop it, or give this server another folder"));
    }
    absl::SleepFor(kLockPoll);
  }
  if (absl::Status noted = NoteHolder(lock, lock_path); !noted.ok()) return noted;
  return folder;
}

DataFolder::DataFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

DataFolder::~DataFolder() { close(lock_); }

}  // namespace tern
