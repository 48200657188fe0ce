#ifndef TERN_SERVER_JOBS_TIMESTAMPS_H_
#define TERN_SERVER_JOBS_TIMESTAMPS_H_

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include "absl/time/time.h"

namespace tern {

// `time` to the microsecond; finite.
inline google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<int32_t>(
      absl::ToInt64Microseconds(time - absl::FromUnixSeconds(seconds)) * 1000));
  return timestamp;
}

// `duration` to the millisecond; finite.
inline google::protobuf::Duration ToDuration(absl::Duration duration) {
  const int64_t milliseconds = absl::ToInt64Milliseconds(duration);
  google::protobuf::Duration proto;
  proto.set_seconds(milliseconds / 1000);
  proto.set_nanos(static_cast<int32_t>(milliseconds % 1000) * 1000000);
  return proto;
}

}  // namespace tern

#endif  // TERN_SERVER_JOBS_TIMESTAMPS_H_
