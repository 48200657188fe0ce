#ifndef TERN_TESTS_UNIT_BLOBS_SMALL_DISK_H_
#define TERN_TESTS_UNIT_BLOBS_SMALL_DISK_H_

#include <sys/mount.h>

#include <cstdint>
#include <string>

#include "tests/temp_dir.h"

namespace tern {

// A real file system of `bytes`, in memory. Mounting needs rights that not every machine gives:
//   if (!disk.mounted()) GTEST_SKIP() << "needs the right to mount a file system";
class SmallDisk {
 public:
  explicit SmallDisk(int64_t bytes)
      : mounted_(mount("tmpfs", folder_.path().c_str(), "tmpfs", 0,
                       ("size=" + std::to_string(bytes)).c_str()) == 0) {}
  ~SmallDisk() {
    if (mounted_) umount2(folder_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& path() const { return folder_.path(); }
  std::string File(const std::string& name) const { return folder_.File(name); }

 private:
  TempDir folder_;
  const bool mounted_;
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_BLOBS_SMALL_DISK_H_
