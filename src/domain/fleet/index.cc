// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/index.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/text.h"
#include "domain/registry/fleet_query_tree.h"

namespace muster::fleet {

namespace {

constexpr std::size_t kFirstSlots = 1024;
constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

constexpr auto kFold = [] {
  std::array<unsigned char, 256> fold{};
  for (std::size_t c = 0; c < fold.size(); ++c)
    fold[c] = static_cast<unsigned char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return fold;
}();

int compare_values(const Index::Value& a, const Index::Value& b) {
  if (int order = compare_folded(a.text(), b.text()); order != 0) return order;
  if (int order = a.text().compare(b.text()); order != 0) return order;
  if (a.kind != b.kind) return a.kind < b.kind ? -1 : 1;
  return static_cast<int>(a.is_word) - static_cast<int>(b.is_word);
}

}  // namespace

int compare_folded(std::string_view a, std::string_view b) {
  const std::size_t length = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < length; ++i) {
    const int order = kFold[static_cast<unsigned char>(a[i])] - kFold[static_cast<unsigned char>(b[i])];
    if (order != 0) return order;
  }
  return a.size() < b.size() ? -1 : static_cast<int>(a.size() > b.size());
}

Index::Index(QuerySubject subject) : subject_(subject), slots_(kFirstSlots) {
  field_id(subject == QuerySubject::kThings ? "thingName" : "thingGroupName");
}

const Index::Field* Index::find_field(std::string_view name) const {
  auto found = fields_by_name_.find(name);
  return found == fields_by_name_.end() ? nullptr : &fields_[found->second];
}

std::uint32_t Index::field_id(std::string_view name) {
  if (auto found = fields_by_name_.find(name); found != fields_by_name_.end()) return found->second;
  std::uint32_t id = static_cast<std::uint32_t>(fields_.size());
  if (free_fields_.empty()) {
    fields_.emplace_back();
  } else {
    id = free_fields_.back();
    free_fields_.pop_back();
  }
  Field& field = fields_[id];
  field.name = name;
  const auto found = registry::classify_field(name, subject_);
  field.source = found ? found->source : FieldSource::kRegistry;
  field.searchable = found && found->searchable;
  fields_by_name_.emplace(field.name, id);
  return id;
}

// ---- distinct values, by hash

std::uint32_t Index::hash_of(const WantedValue& wanted) {
  std::size_t hash = std::hash<std::string_view>()(wanted.text);
  hash ^= (std::size_t{wanted.field} * 4 + static_cast<std::size_t>(wanted.kind)) * 0x9E3779B97F4A7C15U;
  hash ^= wanted.is_word ? 0x5851F42D4C957F2DU : 0;
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

bool Index::same(std::uint32_t id, const WantedValue& wanted) const {
  const Value& value = values_[id];
  return value.field == wanted.field && value.kind == wanted.kind && value.is_word == wanted.is_word &&
         value.text() == wanted.text;
}

// Where it is, or the free slot where it belongs.
std::size_t Index::slot_of(const WantedValue& wanted, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at].id_plus_one != 0 && (slots_[at].hash != hash || !same(slots_[at].id_plus_one - 1, wanted)))
    at = (at + 1) & mask;
  return at;
}

void Index::widen_slots() {
  std::vector<Slot> wider(slots_.size() * 2);
  const std::size_t mask = wider.size() - 1;
  for (const Slot& slot : slots_) {
    if (slot.id_plus_one == 0) continue;
    std::size_t at = slot.hash & mask;
    while (wider[at].id_plus_one != 0) at = (at + 1) & mask;
    wider[at] = slot;
  }
  slots_ = std::move(wider);
}

OrderedIds::Position Index::text_position(const Field& field, std::uint32_t id) const {
  return field.texts.lower_bound([&](std::uint32_t other) { return compare_values(values_[other], values_[id]) < 0; });
}

OrderedIds::Position Index::number_position(const Field& field, std::uint32_t id) const {
  return field.numbers.lower_bound([&](std::uint32_t other) {
    const Value& a = values_[other];
    const Value& b = values_[id];
    return a.number != b.number ? a.number < b.number : other < id;
  });
}

std::uint32_t Index::value_id(const WantedValue& wanted) {
  const std::uint32_t hash = hash_of(wanted);
  std::size_t slot = slot_of(wanted, hash);
  if (slots_[slot].id_plus_one != 0) return slots_[slot].id_plus_one - 1;
  if ((used_slots_ + 1) * 4 > slots_.size() * 3) {
    widen_slots();
    slot = slot_of(wanted, hash);
  }
  std::uint32_t id = static_cast<std::uint32_t>(values_.size());
  if (free_values_.empty()) {
    values_.emplace_back();
  } else {
    id = free_values_.back();
    free_values_.pop_back();
  }
  Value& value = values_[id];
  value.bytes = std::make_unique<char[]>(wanted.text.size());
  std::memcpy(value.bytes.get(), wanted.text.data(), wanted.text.size());
  value.size = static_cast<std::uint32_t>(wanted.text.size());
  value.field = wanted.field;
  value.kind = wanted.kind;
  value.is_word = wanted.is_word;
  value.has_words = !wanted.is_word && wanted.kind == ValueKind::kText && registry::query_words(wanted.text).size() > 1;
  value.number = registry::query_number(wanted.text).value_or(kNoNumber);
  slots_[slot] = {.id_plus_one = id + 1, .hash = hash};
  ++used_slots_;
  Field& field = fields_[wanted.field];
  field.texts.insert(text_position(field, id), id);
  if (value.is_number()) field.numbers.insert(number_position(field, id), id);
  if (value.has_words) ++field.phrases;
  return id;
}

void Index::drop_value(std::uint32_t id) {
  Value& value = values_[id];
  Field& field = fields_[value.field];
  field.texts.erase(text_position(field, id));
  if (value.is_number()) field.numbers.erase(number_position(field, id));
  if (value.has_words) --field.phrases;
  const WantedValue wanted{value.field, value.text(), value.kind, value.is_word};
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = slot_of(wanted, hash_of(wanted));
  // What was pushed on by the one that goes moves back.
  for (std::size_t at = (hole + 1) & mask; slots_[at].id_plus_one != 0; at = (at + 1) & mask) {
    const std::size_t home = slots_[at].hash & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = {};
  --used_slots_;
  if (field.texts.empty() && value.field != 0) {
    fields_by_name_.erase(field.name);
    free_fields_.push_back(value.field);
    field = Field();
  }
  value = Value();
  free_values_.push_back(id);
}

// ---- documents

std::optional<DocNumber> Index::find_document(std::string_view name) const {
  const WantedValue wanted{0, name, ValueKind::kText, false};
  const Slot& slot = slots_[slot_of(wanted, hash_of(wanted))];
  if (slot.id_plus_one == 0) return std::nullopt;
  return values_[slot.id_plus_one - 1].documents.first();
}

DocNumber Index::make_document() {
  if (free_documents_.empty()) {
    documents_.emplace_back();
    return static_cast<DocNumber>(documents_.size() - 1);
  }
  const DocNumber doc = free_documents_.back();
  free_documents_.pop_back();
  return doc;
}

void Index::collect(const FieldValues& values, std::vector<std::uint32_t>& ids) {
  for (const registry::FieldValue& one : values) {
    const auto words =
        one.kind == ValueKind::kText ? registry::query_words(one.text) : std::vector<std::string_view>{one.text};
    if (words.empty()) continue;
    const std::uint32_t field = field_id(one.field);
    // A text of one word is that word, whatever white space is around it.
    if (words.size() == 1) {
      ids.push_back(value_id({field, words.front(), one.kind, false}));
      continue;
    }
    ids.push_back(value_id({field, one.text, one.kind, false}));
    for (std::string_view word : words) ids.push_back(value_id({field, word, one.kind, true}));
  }
}

void Index::put(std::string_view name, SourceMask sources, const FieldValues& values) {
  std::optional<DocNumber> doc = find_document(name);
  if (!doc && (sources & mask_of(FieldSource::kRegistry)) == 0) return;
  std::vector<std::uint32_t> ids;
  ids.reserve(values.size() + 16);
  collect(values, ids);
  const std::uint32_t name_value = value_id({0, name, ValueKind::kText, false});
  ids.push_back(name_value);
  if (!doc) {
    doc = make_document();
    documents_[*doc].name = name_value;
  } else {
    for (const std::uint32_t* id = values_begin(*doc); id != values_end(*doc); ++id)
      if ((mask_of(fields_[values_[*id].field].source) & sources) == 0) ids.push_back(*id);
  }
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  assign(*doc, std::move(ids));
}

void Index::erase(std::string_view name) {
  const auto doc = find_document(name);
  if (!doc) return;
  assign(*doc, {});
  documents_[*doc] = Document();
  free_documents_.push_back(*doc);
}

// Joins the new values, leaves the old ones; then the fields, which are the document's as long as one value is.
void Index::assign(DocNumber doc, std::vector<std::uint32_t> values) {
  const std::vector<std::uint32_t> old(values_begin(doc), values_end(doc));
  std::vector<std::uint32_t> joined, left;
  std::ranges::set_difference(values, old, std::back_inserter(joined));
  std::ranges::set_difference(old, values, std::back_inserter(left));
  std::vector<std::uint32_t> kept_fields, left_fields;
  for (std::uint32_t id : values) kept_fields.push_back(values_[id].field);
  for (std::uint32_t id : left) left_fields.push_back(values_[id].field);
  std::ranges::sort(kept_fields);
  for (std::uint32_t id : joined) {
    values_[id].documents.add(doc);
    fields_[values_[id].field].present.add(doc);
  }
  for (std::uint32_t field : left_fields)
    if (!std::ranges::binary_search(kept_fields, field)) fields_[field].present.remove(doc);
  for (std::uint32_t id : left) {
    values_[id].documents.remove(doc);
    if (values_[id].documents.empty()) drop_value(id);
  }
  Document& document = documents_[doc];
  if (values.empty()) {
    document.values.reset();
    return;
  }
  document.values = std::make_unique_for_overwrite<std::uint32_t[]>(values.size() + 1);
  document.values[0] = static_cast<std::uint32_t>(values.size());
  std::ranges::copy(values, document.values.get() + 1);
}

Index::Sizes Index::sizes() const {
  Sizes sizes{.documents = size(), .fields = fields_by_name_.size(), .values = used_slots_};
  for (const Value& value : values_) sizes.texts_bytes += value.size;
  return sizes;
}

}  // namespace muster::fleet
