#ifndef TERN_WORKER_BACKEND_TENSOR_H_
#define TERN_WORKER_BACKEND_TENSOR_H_

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace tern {

enum class ElementType { kF32, kBF16, kF16, kI32, kI8, kU8 };

inline constexpr int64_t SizeOf(ElementType type) {
  switch (type) {
    case ElementType::kBF16:
    case ElementType::kF16:
      return 2;
    case ElementType::kI8:
    case ElementType::kU8:
      return 1;
    case ElementType::kF32:
    case ElementType::kI32:
      break;
  }
  return 4;
}

// A row-major, densely packed rows × cols matrix in a backend's memory. A handle: copies and views
// share the storage, which is freed with the last of them. Only backends look at data(); everyone
// else moves values with Backend::Upload and Download.
//
// Thread-compatible.
class Tensor {
 public:
  Tensor() = default;
  Tensor(ElementType type, int64_t rows, int64_t cols, std::shared_ptr<void> storage)
      : type_(type), rows_(rows), cols_(cols), storage_(std::move(storage)) {
    data_ = storage_.get();
  }

  ElementType type() const { return type_; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t elements() const { return rows_ * cols_; }
  int64_t bytes() const { return elements() * SizeOf(type_); }
  bool empty() const { return data_ == nullptr; }

  // Rows [first, first + count) as a view.
  Tensor Rows(int64_t first, int64_t count) const {
    assert(first >= 0 && count >= 0 && first + count <= rows_);
    Tensor view = *this;
    view.rows_ = count;
    view.data_ = static_cast<std::byte*>(data_) + first * cols_ * SizeOf(type_);
    return view;
  }

  // The same elements as rows × cols.
  Tensor Reshape(int64_t rows, int64_t cols) const {
    assert(rows * cols == elements());
    Tensor view = *this;
    view.rows_ = rows;
    view.cols_ = cols;
    return view;
  }

  template <typename T>
  T* data() const {
    return static_cast<T*>(data_);
  }

  // The elements, of a tensor in host memory.
  template <typename T>
  std::span<const T> values() const {
    assert(static_cast<int64_t>(sizeof(T)) == SizeOf(type_));
    return {static_cast<const T*>(data_), static_cast<size_t>(elements())};
  }

 private:
  ElementType type_ = ElementType::kF32;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  std::shared_ptr<void> storage_;
  void* data_ = nullptr;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_TENSOR_H_
