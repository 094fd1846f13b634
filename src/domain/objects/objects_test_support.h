// SPDX-License-Identifier: Apache-2.0
// For tests: a store in memory, a virtual clock, and blobs in a folder that goes with the fixture.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/crypto.h"
#include "base/text.h"
#include "domain/objects/blobs.h"
#include "domain/objects/buckets.h"
#include "domain/objects/objects.h"
#include "io/env.h"
#include "store/keys.h"
#include "store/memory_engine.h"
#include "store/schema.h"

namespace muster::objects {

struct ObjectsFixture : testing::Test {
  ObjectsFixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "muster-objects-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    blobs = *Blobs::open(folder.string() + "/blobs");
  }
  ~ObjectsFixture() override { std::filesystem::remove_all(folder); }

  template <class F>
  auto tx(F body) {
    return store::run_blocking_for(*store, std::move(body));
  }
  Status make_bucket(const std::string& name) {
    return store::run_blocking(*store, [&](store::Tx& t) -> Status {
      TRY_VOID(create_bucket(t, realm, name, realm.region));
      return {};
    });
  }
  // A blob, published and not settled.
  std::unique_ptr<BlobWriter> publish(std::string_view bytes) {
    auto writer = *blobs->create();
    EXPECT_TRUE(writer->write(bytes));
    EXPECT_TRUE(writer->publish());
    return writer;
  }
  Result<Object> put(const std::string& bucket, const std::string& key, std::string_view bytes,
                     const Conditions& conditions = {}) {
    auto writer = publish(bytes);
    Object object;
    object.key = key;
    object.blob = writer->id();
    object.size = static_cast<std::int64_t>(bytes.size());
    object.etag = to_hex(md5(bytes));
    auto stored = tx([&](store::Tx& t) { return put_object(t, bucket, object, conditions); });
    if (stored) writer->settle();
    return stored;
  }
  Result<Object> get(const std::string& bucket, const std::string& key) {
    return tx([&](store::Tx& t) { return get_object(t, bucket, key); });
  }
  Result<std::string> read(const std::string& bucket, const std::string& key, std::size_t limit = 1000) {
    return tx([&](store::Tx& t) { return read_small(t, *blobs, bucket, key, limit); });
  }
  // Ids of the blob files, and of what is left in staging.
  std::set<std::string> files(bool staging) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "blobs")) {
      const bool staged = entry.path().parent_path().filename() == "staging";
      if (entry.is_regular_file() && staged == staging) names.insert(entry.path().filename().string());
    }
    return names;
  }
  std::size_t garbage_rows() {
    const std::string prefix(1, store::table::kBlobGarbage);
    return tx([&](store::Tx& t) -> Result<std::size_t> {
             return t.range({.begin = prefix, .end = store::after_prefix(prefix)}).size();
           })
        .value();
  }

  Realm realm{"123456789012", "eu-central-1"};
  io::VirtualClock clock;
  std::unique_ptr<store::MemoryStore> store = store::make_memory_store(clock);
  std::filesystem::path folder;
  std::unique_ptr<Blobs> blobs;
};

}  // namespace muster::objects
