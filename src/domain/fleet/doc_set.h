// SPDX-License-Identifier: Apache-2.0
// Sets of document numbers. Postings: of one value, small when few documents have it (nothing but itself for one, an
// array up to 64, a roaring bitmap beyond), changed one by one. DocSet: of a query, one bit a document. Not
// thread-safe; owned by the index and by a search. No input reaches their bounds: numbers are the index's own.
#pragma once

#include <roaring/roaring.h>

#include <array>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

namespace muster::fleet {

using DocNumber = std::uint32_t;

class Postings {
 public:
  Postings() = default;
  Postings(Postings&& other) noexcept { swap(other); }
  Postings& operator=(Postings&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Postings();

  void add(DocNumber doc);     // once at most, or again without effect
  void remove(DocNumber doc);  // without effect when it is not there
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  DocNumber first() const;  // not empty

  template <class F>
  void for_each(F&& visit) const {
    if (size_ == 0) return;
    if (kind_ == Kind::kOne) return visit(one_);
    if (kind_ == Kind::kFew) {
      for (std::uint32_t i = 0; i < size_; ++i) visit(few_[i]);
      return;
    }
    roaring_uint32_iterator_t at;
    roaring_init_iterator(many_, &at);
    std::array<std::uint32_t, 512> block;
    for (;;) {
      const std::uint32_t got = roaring_read_uint32_iterator(&at, block.data(), block.size());
      for (std::uint32_t i = 0; i < got; ++i) visit(block[i]);
      if (got < block.size()) return;
    }
  }

 private:
  enum class Kind : std::uint8_t { kOne, kFew, kMany };
  void swap(Postings& other) noexcept;
  void grow();
  void clear();

  union {
    DocNumber one_ = 0;
    DocNumber* few_;
    roaring_bitmap_t* many_;
  };
  std::uint32_t size_ = 0;
  std::uint8_t capacity_ = 0;  // of few_
  Kind kind_ = Kind::kOne;
};

class DocSet {
 public:
  explicit DocSet(std::size_t documents) : words_((documents + 63) / 64) {}

  void add(DocNumber doc) { words_[doc >> 6] |= std::uint64_t{1} << (doc & 63); }
  void add(const Postings& postings) {
    postings.for_each([this](DocNumber doc) { add(doc); });
  }
  bool contains(DocNumber doc) const { return ((words_[doc >> 6] >> (doc & 63)) & 1) != 0; }
  std::size_t count() const {
    std::size_t sum = 0;
    for (std::uint64_t word : words_) sum += static_cast<std::size_t>(std::popcount(word));
    return sum;
  }
  std::size_t count(const Postings& postings) const {
    std::size_t sum = 0;
    postings.for_each([&](DocNumber doc) { sum += contains(doc) ? 1 : 0; });
    return sum;
  }
  void intersect(const DocSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
  }
  void unite(const DocSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  void subtract(const DocSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= ~other.words_[i];
  }
  template <class F>
  void for_each(F&& visit) const {
    for (std::size_t i = 0; i < words_.size(); ++i)
      for (std::uint64_t word = words_[i]; word != 0; word &= word - 1)
        visit(static_cast<DocNumber>(i * 64 + static_cast<std::size_t>(std::countr_zero(word))));
  }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace muster::fleet
