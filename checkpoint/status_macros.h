#ifndef TERN_CHECKPOINT_STATUS_MACROS_H_
#define TERN_CHECKPOINT_STATUS_MACROS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function when `expr` is not OK.
#define TERN_RETURN_IF_ERROR(expr)                                                   \
  do {                                                                               \
    if (absl::Status tern_status_ = (expr); !tern_status_.ok()) return tern_status_; \
  } while (false)

#define TERN_STATUS_CONCAT_INNER_(a, b) a##b
#define TERN_STATUS_CONCAT_(a, b) TERN_STATUS_CONCAT_INNER_(a, b)

// Evaluates `expr`, an absl::StatusOr<T>; returns its status when it is not OK, otherwise moves
// the value into `lhs` (a declaration or an expression). NOLINTBEGIN(bugprone-macro-parentheses)
#define TERN_ASSIGN_OR_RETURN(lhs, expr) \
  TERN_ASSIGN_OR_RETURN_IMPL_(TERN_STATUS_CONCAT_(tern_status_or_, __LINE__), lhs, expr)
#define TERN_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr)   \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = *std::move(statusor)
// NOLINTEND(bugprone-macro-parentheses)
#endif  // TERN_CHECKPOINT_STATUS_MACROS_H_
