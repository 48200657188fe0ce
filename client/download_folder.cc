#include "client/download_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/digest.h"
#include "checkpoint/errno_status.h"
#include "checkpoint/manifest.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/path_rules.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kStateFolder[] = ".tern-download";
constexpr int64_t kMaxStateBytes = 16 << 20;
constexpr int64_t kMaxReportBytes = 256 << 20;

struct Contents {
  enum class Kind { kEmpty, kPartial, kWhole, kForeign } kind = Kind::kEmpty;
  // Of kPartial and kWhole.
  std::string job;
  std::string create_time;  // kPartial
  std::string digest;       // kWhole
};

std::string StringAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The JSON object in a file; null when there is no such file or it holds none.
json ReadObject(const std::string& path, int64_t max_bytes) {
  const absl::StatusOr<std::string> text = ReadFile(path, max_bytes);
  if (!text.ok()) return nullptr;
  json object = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  return object.is_object() ? object : json(nullptr);
}

absl::Status FolderError(const std::string& path, absl::string_view action,
                         const std::error_code& error) {
  const std::string message = absl::StrCat(path, ": cannot ", action, ": ", error.message());
  if (error == std::errc::no_space_on_device) return absl::ResourceExhaustedError(message);
  return absl::FailedPreconditionError(message);
}

absl::StatusOr<Contents> Inspect(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return Contents{};
  if (error) return FolderError(path, "be read", error);
  if (!fs::is_directory(status)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is not a folder"));
  }
  if (const json state =
          ReadObject(absl::StrCat(path, "/", kStateFolder, "/job.json"), kMaxStateBytes);
      state.is_object()) {
    return Contents{Contents::Kind::kPartial, StringAt(state, "job"),
                    StringAt(state, "create_time"), ""};
  }
  if (const json report = ReadObject(absl::StrCat(path, "/", kReportFile), kMaxReportBytes);
      report.is_object() && !StringAt(report, "job").empty()) {
    return Contents{Contents::Kind::kWhole, StringAt(report, "job"), "",
                    StringAt(report, "digest")};
  }
  bool empty = true;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    // A state folder without job.json is what a crash right at the start leaves.
    empty = empty && entry->path().filename() == kStateFolder;
  }
  if (error) return FolderError(path, "be read", error);
  return Contents{empty ? Contents::Kind::kEmpty : Contents::Kind::kForeign, "", "", ""};
}

absl::Status NotEmpty(const std::string& path) {
  return absl::FailedPreconditionError(
      absl::StrCat("--out: ", path, " is not empty; name a new or an empty folder"));
}

std::string CreateTime(const v1::QuantizationJob& job) {
  return absl::StrCat(job.create_time().seconds(), ".", job.create_time().nanos());
}

json FileJson(const v1::CheckpointFile& file) {
  return {{"index", file.index()},
          {"path", file.path()},
          {"size", file.size_bytes()},
          {"sha256", file.sha256()}};
}

absl::StatusOr<v1::CheckpointFile> FileFromJson(const json& object) {
  v1::CheckpointFile file;
  try {
    file.set_index(object.at("index").get<int64_t>());
    file.set_path(object.at("path").get<std::string>());
    file.set_size_bytes(object.at("size").get<int64_t>());
    file.set_sha256(object.at("sha256").get<std::string>());
  } catch (const json::exception& error) {
    return absl::DataLossError(error.what());
  }
  return file;
}

// What a server may name a file.
absl::Status CheckFile(const v1::CheckpointFile& file) {
  if (!IsPlainFileName(file.path()) || file.path() == kStateFolder) {
    return absl::DataLossError(
        absl::StrCat("the server sent a file named \"", file.path(), "\", which is no plain name"));
  }
  if (file.size_bytes() < 0 || file.index() < 1 || file.sha256().size() != 64) {
    return absl::DataLossError(
        absl::StrCat(file.path(), ": the server sent it with no valid index, size or digest"));
  }
  return absl::OkStatus();
}

// Whether the file on disk has this size and digest.
absl::StatusOr<bool> Matches(const std::string& path, const v1::CheckpointFile& file) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error || static_cast<int64_t>(size) != file.size_bytes()) return false;
  TERN_ASSIGN_OR_RETURN(const FileDigest digest, DigestFile(path));
  return digest.sha256 == file.sha256();
}

}  // namespace

DownloadFolder::DownloadFolder(std::string path) : path_(std::move(path)) {}

DownloadFolder::~DownloadFolder() {
  if (lock_ >= 0) close(lock_);
}

absl::Status DownloadFolder::Lock() {
  lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) return ErrnoStatus(errno, path_, "open");
  if (flock(lock_, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  if (errno != EWOULDBLOCK) return ErrnoStatus(errno, path_, "lock");
  return absl::FailedPreconditionError(
      absl::StrCat("--out: another process is downloading to ", path_));
}

absl::StatusOr<bool> DownloadFolder::Prepare(const std::string& path, bool may_resume) {
  TERN_ASSIGN_OR_RETURN(const Contents contents, Inspect(path));
  if (contents.kind == Contents::Kind::kForeign) return NotEmpty(path);
  if (contents.kind != Contents::Kind::kEmpty && !may_resume) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--out: ", path, " holds the checkpoint of ", contents.job,
        "; name a new or an empty folder, or go on with `tern download ", contents.job, "`"));
  }
  std::error_code error;
  const bool made = fs::create_directories(path, error);
  if (error) return FolderError(path, "be created", error);
  return made;
}

void DownloadFolder::RemoveEmpty(const std::string& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

absl::StatusOr<std::unique_ptr<DownloadFolder>> DownloadFolder::Open(
    const std::string& path, const v1::QuantizationJob& job) {
  TERN_ASSIGN_OR_RETURN(const Contents contents, Inspect(path));
  if (contents.kind == Contents::Kind::kForeign) return NotEmpty(path);
  const bool same_job =
      contents.kind == Contents::Kind::kEmpty ||
      (contents.job == job.name() &&
       (contents.kind == Contents::Kind::kPartial ? contents.create_time == CreateTime(job)
                                                  : contents.digest == job.report().digest()));
  if (!same_job) {
    return absl::FailedPreconditionError(
        absl::StrCat("--out: ", path, " holds the checkpoint of ",
                     contents.job == job.name() ? "an earlier job with the same name, " : "",
                     contents.job, "; name a new or an empty folder"));
  }
  auto folder = absl::WrapUnique(new DownloadFolder(path));
  folder->job_ = job.name();
  folder->create_time_ = CreateTime(job);
  std::error_code error;
  fs::create_directories(folder->StatePath(), error);
  if (error) return FolderError(path, "be written", error);
  TERN_RETURN_IF_ERROR(folder->Lock());
  if (contents.kind == Contents::Kind::kPartial) TERN_RETURN_IF_ERROR(folder->Load());
  TERN_RETURN_IF_ERROR(folder->Save());
  return folder;
}

std::string DownloadFolder::StatePath() const { return absl::StrCat(path_, "/", kStateFolder); }

std::string DownloadFolder::PartPath(const v1::CheckpointFile& file) const {
  return absl::StrCat(StatePath(), "/part-", file.index());
}

absl::Status DownloadFolder::Load() {
  const std::string path = absl::StrCat(StatePath(), "/job.json");
  const auto damaged = [&] {
    return absl::DataLossError(
        absl::StrCat(path, ": does not parse; remove ", path_, " and download again"));
  };
  const json state = ReadObject(path, kMaxStateBytes);
  if (!state.is_object() || !state.contains("finished") || !state["finished"].is_array()) {
    return damaged();
  }
  for (const json& entry : state["finished"]) {
    const absl::StatusOr<v1::CheckpointFile> file = FileFromJson(entry);
    if (!file.ok() || !CheckFile(*file).ok()) return damaged();
    TERN_ASSIGN_OR_RETURN(const bool whole, Matches(absl::StrCat(path_, "/", file->path()), *file));
    if (whole) finished_[file->index()] = *file;
  }
  if (!state.contains("current")) return absl::OkStatus();
  const absl::StatusOr<v1::CheckpointFile> current = FileFromJson(state["current"]);
  if (!current.ok() || !CheckFile(*current).ok()) return damaged();
  TERN_RETURN_IF_ERROR(Begin(*current));
  // A part that is already complete is received anew: nobody checked it.
  if (part_->size() >= current_->size_bytes()) DropPart();
  return absl::OkStatus();
}

absl::Status DownloadFolder::Save() const {
  json state = {{"job", job_}, {"create_time", create_time_}, {"finished", json::array()}};
  for (const auto& [index, file] : finished_) state["finished"].push_back(FileJson(file));
  if (current_) state["current"] = FileJson(*current_);
  return WriteFileAtomically(absl::StrCat(StatePath(), "/job.json"),
                             absl::string_view(state.dump(1)));
}

DownloadFolder::Position DownloadFolder::Next() const {
  int64_t index = 1;
  while (finished_.count(index) > 0) ++index;
  return {index, current_ && current_->index() == index ? part_->size() : 0};
}

absl::StatusOr<bool> DownloadFolder::Holds(const v1::CheckpointFile& file) {
  TERN_RETURN_IF_ERROR(CheckFile(file));
  if (finished_.count(file.index()) > 0) return true;
  if (current_) return false;
  TERN_ASSIGN_OR_RETURN(const bool whole, Matches(absl::StrCat(path_, "/", file.path()), file));
  if (whole) TERN_RETURN_IF_ERROR(Record(file));
  return whole;
}

absl::Status DownloadFolder::Begin(const v1::CheckpointFile& file) {
  TERN_ASSIGN_OR_RETURN(part_, PartialFile::Open(PartPath(file)));
  current_ = file;
  return absl::OkStatus();
}

void DownloadFolder::DropPart() {
  std::error_code ignored;
  fs::remove(PartPath(*current_), ignored);
  part_.reset();
  current_.reset();
}

absl::Status DownloadFolder::Record(const v1::CheckpointFile& file) {
  finished_[file.index()] = file;
  return Save();
}

absl::Status DownloadFolder::Append(const v1::CheckpointFile& file, int64_t offset,
                                    std::span<const uint8_t> bytes) {
  TERN_RETURN_IF_ERROR(CheckFile(file));
  if (current_ &&
      (current_->index() != file.index() || current_->path() != file.path() ||
       current_->size_bytes() != file.size_bytes() || current_->sha256() != file.sha256())) {
    DropPart();
  }
  const Position next = Next();
  const auto length = static_cast<int64_t>(bytes.size());
  if (file.index() != next.file_index || offset != next.offset ||
      length > file.size_bytes() - offset) {
    return absl::DataLossError(absl::StrCat(
        file.path(), ": the server sent bytes ", offset, " to ", offset + length, " of file ",
        file.index(), " where byte ", next.offset, " of file ", next.file_index, " is next"));
  }
  absl::Status status;
  if (!current_) {
    TERN_RETURN_IF_ERROR(Begin(file));
    status = Save();
  }
  if (status.ok()) status = part_->Append(bytes);
  if (status.ok() && part_->size() == file.size_bytes()) {
    status = part_->Finish(file.sha256(), absl::StrCat(path_, "/", file.path()));
    if (status.ok()) {
      part_.reset();
      current_.reset();
      return Record(file);
    }
  }
  if (!status.ok()) DropPart();
  return status;
}

absl::Status DownloadFolder::Complete() {
  const std::string manifest_path = absl::StrCat(path_, "/", kManifestFile);
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadFile(manifest_path, kMaxStateBytes));
  TERN_ASSIGN_OR_RETURN(const auto manifest, ParseManifest(text));
  for (const auto& [name, digest] : manifest) {
    const auto received =
        std::find_if(finished_.begin(), finished_.end(),
                     [&name = name](const auto& entry) { return entry.second.path() == name; });
    if (received == finished_.end()) {
      return absl::DataLossError(
          absl::StrCat(manifest_path, ": lists ", name, ", which the server did not send"));
    }
    if (received->second.size_bytes() != digest.size ||
        received->second.sha256() != digest.sha256) {
      return absl::DataLossError(
          absl::StrCat(path_, "/", name, ": differs from what ", kManifestFile, " lists"));
    }
  }
  std::error_code error;
  fs::remove_all(StatePath(), error);
  if (error) return FolderError(StatePath(), "be removed", error);
  return SyncFolder(path_);
}

void DownloadFolder::Discard(bool made) {
  part_.reset();
  std::error_code ignored;
  for (const auto& [index, file] : finished_) fs::remove(path_ + "/" + file.path(), ignored);
  fs::remove_all(StatePath(), ignored);
  if (made) RemoveEmpty(path_);
}

}  // namespace tern
