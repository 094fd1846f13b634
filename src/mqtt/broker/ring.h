// SPDX-License-Identifier: Apache-2.0
// Ring: a FIFO with indexed access that owns no memory while it has never held anything (std::deque takes 0.6 KB empty,
// which every idle session would pay). Capacity is a power of two; shrinks only by release().
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace muster::mqtt {

template <class T>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t index) { return slots_[(head_ + index) & (capacity_ - 1)]; }
  const T& operator[](std::size_t index) const { return slots_[(head_ + index) & (capacity_ - 1)]; }
  T& front() { return slots_[head_]; }
  const T& front() const { return slots_[head_]; }
  T& back() { return (*this)[size_ - 1]; }

  void push_back(T value) {
    if (size_ == capacity_) grow();
    slots_[(head_ + size_) & (capacity_ - 1)] = std::move(value);
    ++size_;
  }
  T pop_front() {
    T value = std::move(slots_[head_]);
    slots_[head_] = T{};
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
    return value;
  }
  // Takes one out of the middle; those behind it move up.
  T take(std::size_t index) {
    if (index == 0) return pop_front();
    T value = std::move((*this)[index]);
    for (std::size_t i = index; i + 1 < size_; ++i) (*this)[i] = std::move((*this)[i + 1]);
    (*this)[size_ - 1] = T{};
    --size_;
    return value;
  }
  void clear() {
    slots_.reset();
    capacity_ = head_ = size_ = 0;
  }
  // Gives the memory back when empty.
  void release() {
    if (size_ == 0) clear();
  }

 private:
  void grow() {
    const std::size_t wider = capacity_ == 0 ? 4 : capacity_ * 2;
    auto slots = std::make_unique<T[]>(wider);
    for (std::size_t i = 0; i < size_; ++i) slots[i] = std::move((*this)[i]);
    slots_ = std::move(slots);
    capacity_ = static_cast<std::uint32_t>(wider);
    head_ = 0;
  }
  std::unique_ptr<T[]> slots_;
  std::uint32_t capacity_ = 0;
  std::uint32_t head_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace muster::mqtt
