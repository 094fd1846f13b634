// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/doc_set.h"

#include <algorithm>
#include <cstring>

namespace muster::fleet {

namespace {

constexpr std::uint32_t kFewLimit = 64;

}  // namespace

Postings::~Postings() {
  clear();
}

void Postings::clear() {
  if (kind_ == Kind::kFew) delete[] few_;
  if (kind_ == Kind::kMany) roaring_bitmap_free(many_);
  kind_ = Kind::kOne;
  one_ = 0;
  size_ = 0;
  capacity_ = 0;
}

void Postings::swap(Postings& other) noexcept {
  static_assert(sizeof(roaring_bitmap_t*) >= sizeof(DocNumber));
  roaring_bitmap_t* held = nullptr;
  std::memcpy(&held, &many_, sizeof held);
  std::memcpy(&many_, &other.many_, sizeof held);
  std::memcpy(&other.many_, &held, sizeof held);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  std::swap(kind_, other.kind_);
}

DocNumber Postings::first() const {
  if (kind_ == Kind::kOne) return one_;
  return kind_ == Kind::kFew ? few_[0] : roaring_bitmap_minimum(many_);
}

// Makes room for one more in few_, or turns into a bitmap.
void Postings::grow() {
  if (kind_ == Kind::kOne) {
    auto* few = new DocNumber[4];
    few[0] = one_;
    few_ = few;
    capacity_ = 4;
    kind_ = Kind::kFew;
    return;
  }
  if (size_ < capacity_) return;
  if (size_ < kFewLimit) {
    const std::uint32_t wider = std::min(size_ * 2, kFewLimit);
    auto* few = new DocNumber[wider];
    std::copy_n(few_, size_, few);
    delete[] few_;
    few_ = few;
    capacity_ = static_cast<std::uint8_t>(wider);
    return;
  }
  roaring_bitmap_t* many = roaring_bitmap_of_ptr(size_, few_);
  delete[] few_;
  many_ = many;
  kind_ = Kind::kMany;
}

void Postings::add(DocNumber doc) {
  if (size_ == 0) {
    clear();
    one_ = doc;
    size_ = 1;
    return;
  }
  if (kind_ == Kind::kOne && one_ == doc) return;
  if (kind_ == Kind::kFew && std::binary_search(few_, few_ + size_, doc)) return;
  if (kind_ != Kind::kMany) grow();
  if (kind_ == Kind::kMany) {
    size_ += roaring_bitmap_add_checked(many_, doc) ? 1 : 0;
    return;
  }
  DocNumber* at = std::lower_bound(few_, few_ + size_, doc);
  std::copy_backward(at, few_ + size_, few_ + size_ + 1);
  *at = doc;
  ++size_;
}

void Postings::remove(DocNumber doc) {
  if (size_ == 0) return;
  switch (kind_) {
    case Kind::kOne:
      if (one_ == doc) size_ = 0;
      break;
    case Kind::kFew: {
      DocNumber* at = std::lower_bound(few_, few_ + size_, doc);
      if (at == few_ + size_ || *at != doc) return;
      std::copy(at + 1, few_ + size_, at);
      --size_;
      break;
    }
    case Kind::kMany:
      size_ -= roaring_bitmap_remove_checked(many_, doc) ? 1 : 0;
      break;
  }
  if (size_ == 0) clear();
}

}  // namespace muster::fleet
