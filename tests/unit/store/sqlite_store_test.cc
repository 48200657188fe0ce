#include "server/store/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/status_macros.h"
#include "tests/temp_dir.h"
#include "tests/unit/blobs/small_disk.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void Execute(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
}

absl::Status InsertJob(Store& store, const std::string& uid, size_t bytes) {
  return store.Transact([&](Transaction& transaction) {
    JobRecord job;
    job.uid = uid;
    job.name_space = "default";
    job.id = uid;
    job.create_time = absl::UnixEpoch();
    job.document = std::string(bytes, 'x');
    return transaction.InsertJob(job);
  });
}

TEST(SqliteStoreTest, ANewerSchemaIsRefusedAndLeftAlone) {
  const TempDir folder;
  ASSERT_THAT(OpenSqliteStore(folder.File("tern.db")), IsOk());
  Execute(folder.File("tern.db"), "PRAGMA user_version = 1000");
  EXPECT_THAT(OpenSqliteStore(folder.File("tern.db")),
              IsError(absl::StatusCode::kFailedPrecondition,
                      AllOf(HasSubstr("tern.db"), HasSubstr("newer version of Tern"),
                            HasSubstr("schema 1000"))));
}

TEST(SqliteStoreTest, TasksFromBeforeRanksKeepTheirOrder) {
  const TempDir folder;
  {
    const auto store = OpenSqliteStore(folder.File("tern.db"));
    ASSERT_THAT(store, IsOk());
    ASSERT_THAT(InsertJob(**store, "u", 1), IsOk());
    ASSERT_THAT((*store)->Transact([](Transaction& transaction) -> absl::Status {
      TaskRecord task;
      task.job_uid = "u";
      task.job_number = 1;
      task.state = TaskState::kReady;
      int32_t rank = 0;
      for (const auto& [kind, index] : {std::pair(TaskKind::kEvaluate, 0),
                                        {TaskKind::kAssemble, 0},
                                        {TaskKind::kQuantize, 10},
                                        {TaskKind::kQuantize, 9},
                                        {TaskKind::kScan, 0}}) {
        task.name = absl::StrCat(static_cast<int>(kind), "/", index);
        task.kind = kind;
        task.index = index;
        task.rank = rank++;
        TERN_RETURN_IF_ERROR(transaction.InsertTask(task));
      }
      return absl::OkStatus();
    }),
                IsOk());
  }
  // As the first schema had it.
  Execute(folder.File("tern.db"),
          "DROP INDEX tasks_ready; ALTER TABLE tasks DROP COLUMN rank;"
          "ALTER TABLE tasks DROP COLUMN memory_bytes;"
          "ALTER TABLE tasks DROP COLUMN gpu_memory_bytes; ALTER TABLE tasks DROP COLUMN probes;"
          "CREATE INDEX tasks_ready ON tasks (job_number, kind, idx) WHERE state = 2;"
          "PRAGMA user_version = 1");

  const auto store = OpenSqliteStore(folder.File("tern.db"));
  ASSERT_THAT(store, IsOk());
  std::vector<std::string> names;
  ASSERT_THAT((*store)->Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(const auto tasks,
                          reader.ListReadyTasks(ReadyPosition(), WorkerRoom(), 10));
    for (const TaskRecord& task : tasks) names.push_back(task.name);
    return absl::OkStatus();
  }),
              IsOk());
  EXPECT_THAT(names, ElementsAre("0/0", "1/9", "1/10", "2/0", "3/0"));
}

TEST(SqliteStoreTest, AnotherProgramsDatabaseIsRefused) {
  const TempDir folder;
  Execute(folder.File("tern.db"), "CREATE TABLE cookies (name TEXT)");
  EXPECT_THAT(OpenSqliteStore(folder.File("tern.db")),
              IsError(absl::StatusCode::kFailedPrecondition, HasSubstr("another program")));
}

TEST(SqliteStoreTest, AFileThatIsNoDatabaseIsDataLoss) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("tern.db"), std::string(8192, 'j')), IsOk());
  EXPECT_THAT(OpenSqliteStore(folder.File("tern.db")),
              IsError(absl::StatusCode::kDataLoss,
                      AllOf(HasSubstr("tern.db"), HasSubstr("restore it from a backup"))));
}

TEST(SqliteStoreTest, ADamagedDatabaseIsDataLoss) {
  const TempDir folder;
  {
    const auto store = OpenSqliteStore(folder.File("tern.db"));
    ASSERT_THAT(store, IsOk());
    for (int i = 0; i < 50; ++i) {
      ASSERT_THAT(InsertJob(**store, absl::StrCat("u", i), 2000), IsOk());
    }
  }
  // Everything after the first page, so that the file still looks like ours.
  std::fstream file(folder.File("tern.db"), std::ios::in | std::ios::out | std::ios::binary);
  const auto size = std::filesystem::file_size(folder.File("tern.db"));
  ASSERT_GT(size, 8192U);
  file.seekp(4096);
  file << std::string(size - 4096, '\x5a');
  file.close();
  EXPECT_THAT(OpenSqliteStore(folder.File("tern.db")),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("tern.db")));
}

TEST(SqliteStoreTest, AFolderThatIsMissingIsNamed) {
  EXPECT_THAT(OpenSqliteStore("/nonexistent/tern.db"),
              IsError(absl::StatusCode::kFailedPrecondition, HasSubstr("/nonexistent/tern.db")));
}

TEST(SqliteStoreTest, AFullDiskIsResourceExhaustedAndTheStoreGoesOnWorking) {
  const SmallDisk disk(2 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "needs the right to mount a file system";
  const auto store = OpenSqliteStore(disk.File("tern.db"));
  ASSERT_THAT(store, IsOk());
  ASSERT_THAT(InsertJob(**store, "small", 100), IsOk());
  EXPECT_THAT(InsertJob(**store, "large", 4 << 20),
              IsError(absl::StatusCode::kResourceExhausted, HasSubstr("free disk space")));
  EXPECT_THAT(InsertJob(**store, "after", 100), IsOk());
}

}  // namespace
}  // namespace tern
