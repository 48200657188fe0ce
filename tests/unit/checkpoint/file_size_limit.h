#ifndef TERN_TESTS_UNIT_CHECKPOINT_FILE_SIZE_LIMIT_H_
#define TERN_TESTS_UNIT_CHECKPOINT_FILE_SIZE_LIMIT_H_

#include <sys/resource.h>

#include <csignal>

namespace tern {

// Makes every write past `bytes` of a file fail, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : previous_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit = {bytes, previous_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*previous_handler_)(int);
  rlimit previous_{};
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_CHECKPOINT_FILE_SIZE_LIMIT_H_
