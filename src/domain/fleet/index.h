// SPDX-License-Identifier: Apache-2.0
// Index: the fleet's documents turned around, in memory. Each distinct value of a field is kept once, with the set of
// documents that have it; values of a field stand in the order of their texts (case folded) and, those that are
// numbers, in the order of numbers; a document is the list of its values' numbers. Owned by the Indexer, which
// serialises changes against reads. search.h and aggregate.h read it.
//
// A text of several words is kept whole, for phrases and aggregations, and word by word, for terms and ranges. Memory:
// about 4 bytes and a few bits for each value of a document, and some 120 for each distinct value (bench/fleet_index).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "domain/fleet/doc_set.h"
#include "domain/fleet/ordered_ids.h"
#include "domain/registry/fleet_query.h"

namespace muster::fleet {

using registry::FieldSource;
using registry::FieldValues;
using registry::QuerySubject;
using registry::ValueKind;

// Which parts of a document a change replaces.
using SourceMask = unsigned;
constexpr SourceMask mask_of(FieldSource source) {
  return 1U << static_cast<unsigned>(source);
}
inline constexpr SourceMask kAllSources = ~0U;

// The dynamic and billing groups of a thing: searched with thingGroupNames, but not by the queries of dynamic groups.
inline constexpr std::string_view kDynamicGroupsField = "thingGroupNames (dynamic)";

class Index {
 public:
  struct Value {
    std::unique_ptr<char[]> bytes;
    std::uint32_t size = 0;
    std::uint32_t field = 0;
    double number = 0;  // NaN: none
    Postings documents;
    ValueKind kind = ValueKind::kText;
    bool is_word = false;    // of a text of several
    bool has_words = false;  // such a text
    std::string_view text() const { return {bytes.get(), size}; }
    bool is_number() const { return number == number; }
  };
  struct Field {
    std::string name;  // empty: unused
    FieldSource source = FieldSource::kRegistry;
    bool searchable = true;
    OrderedIds texts;         // all values; folded text, then as below
    OrderedIds numbers;       // those that are one
    Postings present;         // documents that have the field
    std::size_t phrases = 0;  // values with has_words
  };

  explicit Index(QuerySubject subject);

  // Replaces the document's values of these sources; makes it when the registry is among them, else a document that is
  // not there stays absent.
  void put(std::string_view name, SourceMask sources, const FieldValues& values);
  void erase(std::string_view name);
  bool has(std::string_view name) const { return find_document(name).has_value(); }

  std::size_t size() const { return names().texts.size(); }
  QuerySubject subject() const { return subject_; }

  // For searches. Documents are numbered below document_limit(), with gaps.
  std::size_t document_limit() const { return documents_.size(); }
  const Field& names() const { return fields_[0]; }
  const Field* find_field(std::string_view name) const;
  const std::deque<Field>& fields() const { return fields_; }
  const Value& value(std::uint32_t id) const { return values_[id]; }
  // A pass over values waits for memory at each: what comes soon is fetched now.
  void fetch_ahead(const OrderedIds& ids, const OrderedIds::Position& at) const {
    __builtin_prefetch(&values_[ids.ahead(at, 16)]);
    __builtin_prefetch(values_[ids.ahead(at, 8)].bytes.get());
  }
  std::string_view name_of(DocNumber doc) const { return values_[documents_[doc].name].text(); }
  const std::uint32_t* values_begin(DocNumber doc) const { return documents_[doc].begin(); }
  const std::uint32_t* values_end(DocNumber doc) const { return documents_[doc].end(); }

  struct Sizes {
    std::size_t documents = 0, fields = 0, values = 0, texts_bytes = 0;
  };
  Sizes sizes() const;

 private:
  struct Document {
    std::uint32_t name = 0;
    std::unique_ptr<std::uint32_t[]> values;  // [0]: how many follow, ascending
    const std::uint32_t* begin() const { return values ? values.get() + 1 : nullptr; }
    const std::uint32_t* end() const { return values ? values.get() + 1 + values[0] : nullptr; }
  };
  struct Slot {
    std::uint32_t id_plus_one = 0;  // 0: free
    std::uint32_t hash = 0;
  };
  struct WantedValue {
    std::uint32_t field;
    std::string_view text;
    ValueKind kind;
    bool is_word;
    bool operator==(const WantedValue&) const = default;
  };

  std::uint32_t field_id(std::string_view name);
  std::uint32_t value_id(const WantedValue& wanted);
  void drop_value(std::uint32_t id);
  std::optional<DocNumber> find_document(std::string_view name) const;
  DocNumber make_document();
  void assign(DocNumber doc, std::vector<std::uint32_t> values);
  void collect(const FieldValues& values, std::vector<std::uint32_t>& ids);

  static std::uint32_t hash_of(const WantedValue& wanted);
  std::size_t slot_of(const WantedValue& wanted, std::uint32_t hash) const;
  bool same(std::uint32_t id, const WantedValue& wanted) const;
  void widen_slots();
  OrderedIds::Position text_position(const Field& field, std::uint32_t id) const;
  OrderedIds::Position number_position(const Field& field, std::uint32_t id) const;

  QuerySubject subject_;
  std::deque<Field> fields_;  // the first: the documents' names
  std::unordered_map<std::string_view, std::uint32_t> fields_by_name_;
  std::vector<std::uint32_t> free_fields_;
  std::deque<Value> values_;
  std::vector<std::uint32_t> free_values_;
  std::vector<Slot> slots_;  // by hash, linear probing
  std::size_t used_slots_ = 0;
  std::vector<Document> documents_;
  std::vector<DocNumber> free_documents_;
};

// <0, 0, >0, bytes with ASCII case folded.
int compare_folded(std::string_view a, std::string_view b);

}  // namespace muster::fleet
